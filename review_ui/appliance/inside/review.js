/* What the stock review page lacks: differences between compared answers, and a rewrite that starts from the best of them.
   Texts are only read and typed; nothing that a model wrote becomes part of the document's structure. */
(() => {
  "use strict";
  const MOST_WORDS = 2000;
  const NAME = "redpen-difference";

  const answers = () => {
    const fields = document.querySelectorAll(".record__content .fields > *");
    const numbered = [...fields].slice(2).filter((field) => / \d+\s*$/.test((field.querySelector("[class*=title-content]") || {}).textContent || ""));
    return fields.length < 4 ? [] : numbered.map((field) => field.querySelector(".content-area")).filter(Boolean);
  };

  /* Words of an element with the text node and the place of each. */
  const words = (element) => {
    const found = [], walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode;
      if (node.parentElement.closest("style, script, button")) continue;
      for (const match of node.data.matchAll(/[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_\u2060]/gu)) {
        found.push({ word: match[0], node, start: match.index, end: match.index + match[0].length });
      }
    }
    return found;
  };

  /* Indices of the words of `a` that a longest common subsequence with `b` keeps. */
  const kept = (a, b) => {
    const width = b.length + 1, table = new Uint16Array((a.length + 1) * width), found = new Set();
    for (let i = a.length - 1; i >= 0; i--) {
      for (let j = b.length - 1; j >= 0; j--) {
        table[i * width + j] = a[i].word === b[j].word ? table[(i + 1) * width + j + 1] + 1
          : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
      }
    }
    for (let i = 0, j = 0; i < a.length && j < b.length;) {
      if (a[i].word === b[j].word) { found.add(i); i++; j++; }
      else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) i++;
      else j++;
    }
    return found;
  };

  /* Marks the words of each answer that stand in none of the others in the same order. */
  const mark = (elements) => {
    const all = elements.map(words), ranges = [];
    if (all.length > 1 && all.every((one) => one.length <= MOST_WORDS)) {
      all.forEach((own, place) => {
        const common = new Set();
        all.forEach((other, at) => { if (at !== place) kept(own, other).forEach((index) => common.add(index)); });
        own.forEach((word, index) => {
          if (common.has(index)) return;
          const range = new Range();
          range.setStart(word.node, word.start);
          range.setEnd(word.node, word.end);
          ranges.push(range);
        });
      });
    }
    if (ranges.length) CSS.highlights.set(NAME, new Highlight(...ranges)); else CSS.highlights.delete(NAME);
  };

  /* The text of the answer that is ranked first, or named the better one of two; of several the first shown. */
  const best = () => {
    const card = document.querySelector(".draggable__slot .draggable__rank-card, .draggable__slot [class*=rank-card]");
    const named = card || [...document.querySelectorAll(".questions-form .input-button")].find(
      (one) => / is better\s*$/.test(one.textContent) && one.querySelector("input:checked"));
    const number = named && /(\d+)(?: is better)?\s*$/.exec(named.textContent.trim());
    const element = number ? answers()[Number(number[1]) - 1] : null;
    return element ? element.innerText.replaceAll("\u2060", "") : null;
  };

  const offer = () => {
    if (!answers().length) return;
    for (const title of document.querySelectorAll(".questions-form .title-area")) {
      if (!title.textContent.includes("Better than the best") || title.querySelector(".redpen-start")) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "redpen-start";
      button.textContent = "Start from the best";
      button.title = "Copies the answer that you ranked first, to be changed";
      button.addEventListener("click", () => start(title.parentElement));
      title.append(button);
    }
  };

  const start = (question) => {
    const text = best(), box = question.querySelector(".textarea, .container");
    if (text === null || !box) return;
    (box.querySelector("p, [contenteditable]") || box).click();
    setTimeout(() => {
      const editor = question.querySelector("[contenteditable=true], [contenteditable=plaintext-only], [contenteditable]");
      if (!editor) return;
      editor.focus();
      if (!editor.innerText.trim()) document.execCommand("insertText", false, text);
    }, 50);
  };

  let before = [], due = 0;
  const look = () => {
    due = 0;
    const elements = answers(), texts = elements.map((element) => element.textContent);
    if (texts.join("\0") !== before.map((one) => one.text).join("\0") || before.some((one, at) => one.node !== elements[at])) {
      before = elements.map((node, at) => ({ node, text: texts[at] }));
      if (window.CSS && CSS.highlights) mark(elements);
    }
    offer();
  };
  new MutationObserver(() => { due = due || setTimeout(look, 120); })
    .observe(document, { subtree: true, childList: true, characterData: true });
})();
