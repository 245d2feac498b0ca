// What the page says, in English and in Chinese.

const WORDS = {
  loading: ["Loading the model: this takes a second or two.", "正在加载模型，约需一两秒。"],
  about: ["{0}. Predicts {1}; made {2}; loaded in {3} ms.", "{0}。预测 {1}；制作于 {2}；加载用时 {3} 毫秒。"],
  row: ["One row", "一行数据"],
  try: ["Try", "预测"],
  answer: ["Answer", "结果"],
  empty: ["Fill in the row and press Try.", "填写数据后点击“预测”。"],
  answered: ["Answered in {0} ms.", "用时 {0} 毫秒。"],
  escalated: ["The second, more expensive stage answered.", "由第二级（更大的）模型作答。"],
  caption: ["Probability of each class", "各类别的概率"],
  class: ["Class", "类别"],
  probability: ["Probability", "概率"],
  more: ["and {0} other classes", "以及其他 {0} 个类别"],
  measure: ["Measure the speed", "测量速度"],
  measuring: ["Asking the model {0} times.", "正在重复预测 {0} 次。"],
  times: ["Of {0} calls with this row, half took at most {1} ms, 95 in a hundred at most {2} ms.",
    "用这一行重复 {0} 次：一半不超过 {1} 毫秒，百分之九十五不超过 {2} 毫秒。"],
  private: ["The model runs in this page. It works without a network, and what you type goes nowhere.",
    "模型就在此页面中运行，无需网络；您输入的内容不会发送到任何地方。"],
  number: ["number", "数值"],
  category: ["category", "类别"],
  text: ["text", "文本"],
  time: ["time, such as 2026-01-31 08:30", "时间，例如 2026-01-31 08:30"],
  image: ["image file", "图像文件"],
  picture: ["the image that was chosen", "所选的图像"],
};
const LANGUAGES = ["en", "zh-CN"];

let language = globalThis.navigator?.language?.startsWith("zh") ? 1 : 0;

/** The tag of the language that is spoken. */
export const spoken = () => LANGUAGES[language];

/** Speaks the other language from now on. */
export function change() {
  language = 1 - language;
}

/**
 * A sentence of the page, with its figures.
 * @param {keyof typeof WORDS} key
 * @param {...unknown} figures
 */
export function say(key, ...figures) {
  return WORDS[key][language].replace(/\{(\d)\}/g, (_, place) => String(figures[place]));
}
