// Tables: sorted by a click on a heading, saved as CSV.
{
  // What a spreadsheet would take for a formula has an apostrophe before it, as in files of geospot.
  const FORMULA = /^\s*[=+\-@＝＋－＠]/u;
  const NUMBERS = /^\s*[+-]?\d+(\.\d*)?([eE][+-]?\d+)?(,\s*[+-]?\d+(\.\d*)?([eE][+-]?\d+)?)*\s*$/;

  G.plainCell = (value) => {
    if (value === null || value === undefined || Number.isNaN(value)) return "";
    if (typeof value !== "string") return String(value);
    const text = value.replace(/\r\n?/g, "\n");
    return FORMULA.test(text) && !NUMBERS.test(text) ? `'${text}` : text;
  };

  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  G.csv = (columns, rows) =>
    [columns, ...rows].map((row) => [...row].map((cell) => quoted(G.plainCell(cell))).join(",")).join("\r\n") + "\r\n";

  G.save = (name, columns, rows) => {
    const url = URL.createObjectURL(new Blob([G.csv(columns, rows)], { type: "text/csv;charset=utf-8" }));
    const link = G.el("a", { href: url, download: `${name}.csv` });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };

  const valueOf = (cell) => {
    const exact = cell.dataset.value;
    if (exact === undefined) return cell.classList.contains("number") ? null : cell.textContent;
    return exact === "True" ? true : exact === "False" ? false : Number(exact);
  };

  const compared = (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return typeof a === "string" ? a.localeCompare(b) : a - b;
  };

  const sortable = (table, heading, column) => {
    const text = heading.textContent;
    const sort = () => {
      const up = heading.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => (up ? 1 : -1) * compared(valueOf(a.cells[column]), valueOf(b.cells[column])));
      table.tBodies[0].append(...rows);
    };
    heading.replaceChildren(G.el("button", { type: "button", class: "sort", title: `sort by ${text}`, onclick: sort,
      "data-testid": `sort-${table.dataset.table}-${column}` }, text));
  };

  G.enhanceTables = () => {
    for (const table of document.querySelectorAll("table[data-table]")) {
      const name = table.dataset.table;
      const headings = [...table.tHead.rows[0].cells];
      const columns = headings.map((heading) => heading.textContent);
      headings.forEach((heading, k) => sortable(table, heading, k));
      const save = () => {
        const all = Object.values(G.data.sections).map((section) => section.tables?.[name]).find(Boolean);
        if (all) G.save(name, all.columns, all.rows);
        else G.save(name, columns, [...table.tBodies[0].rows].map((row) => [...row.cells].map(valueOf)));
      };
      const bar = G.el("div", { class: "bar" }, G.button(`csv-${name}`, "CSV", `save the table ${name} as CSV`, save));
      table.closest(".scroll").after(bar);
    }
  };
}
