"""The few functions that the generated code calls, as C99; ``@`` stands for the prefix."""

from __future__ import annotations

from collections.abc import Iterable

HELPERS = {
    "rank": """\
/* How many of some rising numbers lie below x; of NaN none. */
static uint32_t @rank(const float *cuts, uint32_t count, float x)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (cuts[middle] < x) low = middle + 1;
        else high = middle;
    }
    return low;
}
""",
    "find": """\
/* Where a key stands among sorted ones; their number where it is none of them. */
static int32_t @find(const uint64_t *keys, int32_t count, uint64_t key)
{
    int32_t low = 0, high = count;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (keys[middle] < key) low = middle + 1;
        else high = middle;
    }
    return low < count && keys[low] == key ? low : count;
}
""",
    "place": """\
/* Where the value of a category code stands in a table; `unknown` for a code that is none. */
static int32_t @place(int32_t code, int32_t count, int32_t first, int32_t unknown)
{
    return code >= 0 && code < count ? first + code : unknown;
}
""",
    "clip": """\
static float @clip(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}
""",
    "clip_number": """\
static @number @clip_number(@number x, @number low, @number high)
{
    return x < low ? low : x > high ? high : x;
}
""",
    "sigmoid": """\
static float @sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}
""",
    "softmax": """\
static void @softmax(float *x, int32_t count)
{
    float most = x[0], total = 0.0f;
    for (int32_t i = 1; i < count; i++) most = x[i] > most ? x[i] : most;
    for (int32_t i = 0; i < count; i++) {
        x[i] = expf(x[i] - most);
        total += x[i];
    }
    for (int32_t i = 0; i < count; i++) x[i] /= total;
}
""",
    "share": """\
static void @share(float *x, int32_t count)
{
    float total = 0.0f;
    for (int32_t i = 0; i < count; i++) total += x[i];
    for (int32_t i = 0; i < count; i++) x[i] /= total;
}
""",
    "curve": """\
/* A rising curve of straight pieces, level beyond its ends. */
static float @curve(const float *from, const float *to, int32_t count, float x)
{
    int32_t i = 1;
    if (!(x > from[0])) return to[0];
    if (x >= from[count - 1]) return to[count - 1];
    while (from[i] < x) i++;
    return to[i - 1] + (to[i] - to[i - 1]) * (x - from[i - 1]) / (from[i] - from[i - 1]);
}
""",
    "known": """\
/* A number as it is, infinity as missing: the bundle reads it so too. */
static @number @known(@number x)
{
    return isfinite(x) ? x : NAN;
}
""",
    "code": """\
/* The code of a value among sorted ones, from 1; 0 for the empty string, -1 for a value that is none of them. */
static int32_t @code(const char *const *names, int32_t count, const char *value)
{
    int32_t low = 0, high = count;
    if (value == 0 || value[0] == 0) return 0;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        const unsigned char *a = (const unsigned char *)names[middle], *b = (const unsigned char *)value;
        while (*a != 0 && *a == *b) {
            a++;
            b++;
        }
        if (*a == *b) return middle + 1;
        if (*a < *b) low = middle + 1;
        else high = middle;
    }
    return -1;
}
""",
}


def helpers_of(names: Iterable[str], prefix: str) -> str:
    """Return the definitions of some helpers, in a fixed order."""
    used = set(names)
    return "\n".join(text.replace("@", f"{prefix}_") for name, text in HELPERS.items() if name in used)
