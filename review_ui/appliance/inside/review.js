/* What the stock review page lacks: differences between compared answers, and a rewrite that starts from the best of them.
   Texts are only read and typed; nothing that a model wrote becomes part of the document's structure. */
(() => {
  "use strict";
  const MOST_WORDS = 2000;
  const FEW_WORDS = 12, LEAST_SHARED = 0.4;
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

  /* Marks the words of each answer that stand in none of the others in the same order. A longer answer that has little in common
     with the others stays unmarked: to mark nearly all of it shows nothing. */
  const mark = (elements) => {
    const all = elements.map(words), ranges = [];
    if (all.length > 1 && all.every((one) => one.length <= MOST_WORDS)) {
      all.forEach((own, place) => {
        const common = new Set();
        all.forEach((other, at) => { if (at !== place) kept(own, other).forEach((index) => common.add(index)); });
        if (own.length > FEW_WORDS && common.size < LEAST_SHARED * own.length) return;
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

  /* Question and evidence stand beside each other: who says more gets more of the width. */
  const divide = (fields, both) => {
    const said = both.map((field) => Math.min(field.textContent.length, 2000) + 60);
    const share = both.length === 2 ? Math.round(12 * said[0] / (said[0] + said[1])) : 6;
    fields.style.setProperty("--redpen-question", Math.min(8, Math.max(4, share)));
  };

  /* Where all texts do not fit, each scrolls within its own box: the answers get what they need, then question and evidence,
     but those at least a fifth. */
  const fit = () => {
    const content = document.querySelector(".record__content"), fields = content && content.querySelector(".fields");
    if (!fields || !fields.children.length) return;
    if (content !== watched) { sizes.disconnect(); sizes.observe(content); watched = content; }
    const areas = [...fields.querySelectorAll(".content-area, .text_field_component__area")];
    const measure = () => [content.clientWidth, content.clientHeight, ...areas.map((area) => area.scrollHeight)].join();
    if (content.dataset.redpenSize === measure()) return;
    const places = areas.map((area) => area.scrollTop);
    // Of a conversation the last message is what was answered.
    if (/\n(User|Assistant):\n/.test(areas[0].innerText)) places[0] = areas[0].scrollHeight;
    content.classList.remove("redpen-tight");
    const both = [...fields.children].slice(0, fields.children.length > 3 ? 2 : 1);
    divide(fields, both);
    const style = getComputedStyle(content), room = content.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
    const first = Math.max(...both.map((field) => field.offsetHeight)), rest = fields.offsetHeight - first;
    if (fields.offsetHeight > room) {
      fields.style.setProperty("--redpen-first", `${Math.min(first, Math.max(room - rest, room / 5, 72))}px`);
      content.classList.add("redpen-tight");
    }
    areas.forEach((area, at) => { area.scrollTop = places[at]; });
    content.dataset.redpenSize = measure();
    areas.forEach(fade);
  };

  const fade = (area) => {
    const scrolls = getComputedStyle(area).overflowY === "auto";
    area.classList.toggle("redpen-more", scrolls && area.scrollTop + area.clientHeight < area.scrollHeight - 3);
    area.classList.toggle("redpen-before", scrolls && area.scrollTop > 3);
  };
  document.addEventListener("scroll", ({ target }) => {
    if (target.matches && target.matches(".redpen-tight .fields *")) fade(target);
  }, true);

  let before = [], due = 0, watched = null;
  const sizes = new ResizeObserver(() => { due = due || setTimeout(look, 60); });
  const look = () => {
    due = 0;
    fit();
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
