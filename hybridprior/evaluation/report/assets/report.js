"use strict";
document.documentElement.classList.add("js");

const announce = (sentence) => { document.getElementById("announcement").textContent = sentence; };

for (const compare of document.querySelectorAll(".compare")) {
  const stage = compare.querySelector(".stage");
  const slider = stage.querySelector("input");
  const sides = ["left", "right"].map((side) => {
    const image = stage.insertBefore(document.createElement("img"), slider);
    image.className = side;
    image.draggable = false;
    return { image, select: compare.querySelector(`select.${side}`), tag: stage.querySelector(`.tag.${side}`) };
  });

  const move = (share) => {
    if (share !== undefined) slider.value = String(share);
    stage.style.setProperty("--at", `${slider.value}%`);
    const [left, right] = sides.map(({ tag }) => tag.textContent);
    slider.setAttribute("aria-valuetext", `${slider.value} % ${left}, ${100 - slider.value} % ${right}`);
  };
  const show = () => {
    for (const { image, select, tag } of sides) {
      const chosen = document.getElementById(select.value);
      image.src = chosen.src;
      image.alt = chosen.alt;
      tag.textContent = select.selectedOptions[0].textContent;
    }
    move();
  };
  const follow = (event) => {
    const box = stage.getBoundingClientRect();
    move(Math.min(100, Math.max(0, Math.round((100 * (event.clientX - box.left)) / box.width))));
  };

  slider.addEventListener("input", () => move());
  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    stage.setPointerCapture(event.pointerId);
    slider.focus({ preventScroll: true });
    follow(event);
    if (event.pointerType === "mouse") event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    if (stage.hasPointerCapture(event.pointerId)) follow(event);
  });
  for (const { select } of sides) select.addEventListener("change", show);
  compare.querySelector(".swap").addEventListener("click", () => {
    const [left, right] = sides.map(({ select }) => select);
    [left.value, right.value] = [right.value, left.value];
    show();
  });
  for (const name of ["difference", "sharp"]) {
    const box = compare.querySelector(`.${name}`);
    box.addEventListener("change", () => stage.classList.toggle(name, box.checked));
  }
  compare.hidden = false;
  show();
}

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    const numeric = head.classList.contains("n");
    const key = (row) => (numeric ? row.cells[column].dataset.value : row.cells[column].textContent.trim());
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const falling = before === "none" ? numeric : before === "ascending";
      for (const other of heads) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const compare = (a, b) => {
        const [x, y] = [key(a), key(b)];
        if (!x || !y) return (x ? 0 : 1) - (y ? 0 : 1);
        const order = numeric ? x - y : x.localeCompare(y, undefined, { numeric: true });
        return falling ? -order : order;
      };
      body.append(...[...body.rows].sort(compare));
      announce(`Sorted by ${button.textContent.trim()}, ${falling ? "falling" : "rising"}.`);
    });
  });
}

const copy = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "offscreen";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
};
for (const button of document.querySelectorAll("button.copy")) {
  button.hidden = false;
  const words = button.textContent;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.from);
    const done = await copy(source.textContent);
    if (!done) source.closest("details").open = true;
    button.focus();
    button.textContent = done ? "Copied" : "Copy it from below";
    announce(done ? "Copied." : "The text is shown below; copy it from there.");
    setTimeout(() => { button.textContent = words; }, 2000);
  });
}
