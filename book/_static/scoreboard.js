// The scoreboard: choose claims by paper and verdict, and open the card that an address or a link names. Without scripts
// the whole table is there and every card opens by itself.
(() => {
  const board = document.querySelector("table.elbo-board");
  if (!board) return;
  const rows = [...board.tBodies[0].rows];
  const cards = new Map([...document.querySelectorAll("details.elbo-claim")].map(card => [card.id, card]));
  const paper = row => [...row.classList].find(name => name.startsWith("elbo-of-"));
  const verdict = row => [...row.classList].find(name => name.startsWith("elbo-") && !name.startsWith("elbo-of-"));
  const words = name => { const said = name.slice("elbo-".length).replaceAll("-", " "); return said[0].toUpperCase() + said.slice(1); };
  const title = row => row.cells[1].textContent.split("), ")[0] + ")";

  const form = document.createElement("form");
  form.className = "elbo-filter";
  const count = document.createElement("output");
  const choose = (label, options) => {
    const select = document.createElement("select");
    select.append(new Option("all", ""), ...options.map(([value, text]) => new Option(text, value)));
    const frame = document.createElement("label");
    frame.append(label + " ", select);
    form.append(frame);
    return select;
  };
  const first = new Map();
  for (const row of rows) if (!first.has(paper(row))) first.set(paper(row), row);
  const papers = choose("Paper", [...first].map(([key, row]) => [key, key === "elbo-of-beside" ? "Beside the four papers" : title(row)]));
  const verdicts = choose("Verdict", [...new Set(rows.map(verdict))].map(name => [name, words(name)]));
  form.append(count);
  const wrapper = board.closest(".pst-scrollable-table-container") || board;
  wrapper.before(form);

  const show = () => {
    let shown = 0;
    for (const row of rows) {
      const visible = (!papers.value || paper(row) === papers.value) && (!verdicts.value || verdict(row) === verdicts.value);
      const card = cards.get(row.querySelector("td:last-child a").hash.slice(1));
      for (const part of [row, card]) if (part) part.toggleAttribute("data-elbo-hidden", !visible);
      shown += visible;
    }
    count.textContent = `${shown} of ${rows.length} claims`;
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", event => event.preventDefault());
  show();

  const open = () => {
    const card = cards.get(decodeURIComponent(location.hash.slice(1)));
    if (!card) return;
    card.open = true;
    if (card.hasAttribute("data-elbo-hidden")) { papers.value = verdicts.value = ""; show(); }
    card.scrollIntoView();
  };
  addEventListener("hashchange", open);
  addEventListener("beforeprint", () => cards.forEach(card => { card.open = true; }));
  open();
})();
