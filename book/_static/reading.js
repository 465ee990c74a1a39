// What scrolls sideways on this screen (a long formula, a wide table, a figure on a phone) can be reached with the keyboard and has
// a name for a screen reader; what fits does not stand in the way of the Tab key. Chrome does the first by itself, others do not.
(() => {
  const names = [
    [".bd-article .katex-display", "Formula, scrolls sideways"],
    [".bd-article .elbo-figure-image", "Figure, scrolls sideways"],
    [".bd-article :is(.output, .pst-scrollable-table-container, .table-wrapper)", "Table, scrolls sideways"],
    [".bd-article pre", "Code, scrolls sideways"],
    [".bd-article dd", ""], // a part of a list must stay one
  ];
  const settle = () => {
    for (const [selector, name] of names) {
      for (const element of document.querySelectorAll(selector)) {
        const scrolls = element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight;
        const allowed = /auto|scroll/.test(getComputedStyle(element).overflowX + getComputedStyle(element).overflowY);
        element.classList.toggle("elbo-scrolls", allowed && element.scrollWidth > element.clientWidth + 1);
        if (scrolls && allowed) {
          element.tabIndex = 0;
          if (name && !element.hasAttribute("role")) element.setAttribute("role", "group");
          if (name && !element.hasAttribute("aria-label")) element.setAttribute("aria-label", name);
        } else if (element.hasAttribute("tabindex")) {
          element.removeAttribute("tabindex");
          if (name && element.getAttribute("aria-label") === name) {
            element.removeAttribute("aria-label");
            element.removeAttribute("role");
          }
        }
      }
    }
  };
  // Paper gets the light theme, and nothing stays folded but how to cite and what ran; afterwards the page is as the reader left it.
  const root = document.documentElement.dataset;
  let theme = root.theme;
  const toPaper = (print) => {
    if (print) theme = root.theme;
    root.theme = print ? "light" : theme;
    const folded = print ? "details:not([open]):not(.elbo-figure-legend *)" : "details[data-opened-to-print]";
    for (const details of document.querySelectorAll(".bd-article " + folded)) {
      details.open = print;
      details.toggleAttribute("data-opened-to-print", print);
    }
  };
  matchMedia("print").addEventListener("change", (event) => toPaper(event.matches));

  let waiting = 0;
  const soon = () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(settle); };
  addEventListener("load", () => {
    // Whatever changes the width of a frame or of what is in it (late fonts, another screen): look again.
    const watch = new ResizeObserver(soon);
    for (const [selector] of names)
      for (const element of document.querySelectorAll(selector)) [element, ...element.children].forEach((part) => watch.observe(part));
    soon();
  });
  addEventListener("resize", soon);
  document.fonts.addEventListener("loadingdone", soon); // formulas change their width with their letters
  document.addEventListener("toggle", soon, true); // a <details> that opens changes what fits
})();

// The theme folds the pages below a page behind a mark without a name: readers that speak need one.
document.addEventListener("DOMContentLoaded", () => {
  for (const mark of document.querySelectorAll(".bd-sidenav summary:not([aria-label])")) {
    const link = mark.closest("li")?.querySelector("a");
    mark.setAttribute("aria-label", `Pages below ${link ? link.textContent.trim() : "this one"}`);
  }
});
