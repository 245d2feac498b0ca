// The list of runs: language, sorting, and a field that leaves out what does not hold its words.

import { enhance } from "./tables.js";
import { speak, speaksChinese } from "./words.js";

document.querySelectorAll("table[data-name]").forEach(enhance);
document.querySelector(".tools").hidden = false;
const search = document.getElementById("search");
if (search !== null) {
  search.hidden = false;
  document.getElementById("filter").addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase();
    for (const row of document.querySelectorAll("tbody tr")) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
    }
  });
}

function switchTo(inChinese) {
  const button = document.getElementById("language");
  button.textContent = inChinese ? "English" : "中文";
  button.lang = inChinese ? "en" : "zh-CN";
  speak(inChinese);
}
document.getElementById("language").addEventListener("click", () => switchTo(!speaksChinese()));
if (navigator.language.startsWith("zh")) switchTo(true);
