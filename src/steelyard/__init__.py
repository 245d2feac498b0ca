"""Steelyard weighs every way to build an AI model: what it costs against what it returns, with an error bar."""
