"use strict";
// Without this script the page is complete: the diagram is whole, and its tables are links.
(() => {
  const frame = document.querySelector(".diagram");
  const svg = frame.querySelector("svg");
  const whole = svg.viewBox.baseVal;
  const all = { x: whole.x, y: whole.y, width: whole.width, height: whole.height };
  let view = { ...all };

  const show = () => svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);

  // The units of the drawing in a pixel of the screen.
  const scale = () => Math.max(view.width / svg.clientWidth, view.height / svg.clientHeight);

  const zoom = (factor, x = view.x + view.width / 2, y = view.y + view.height / 2) => {
    const width = Math.min(Math.max(view.width * factor, 120), all.width * 4);
    const by = width / view.width;
    view = { x: x - (x - view.x) * by, y: y - (y - view.y) * by, width, height: view.height * by };
    show();
  };

  const move = (x, y) => {
    view.x += x * scale();
    view.y += y * scale();
    show();
  };

  const actions = { in: () => zoom(1 / 1.4), out: () => zoom(1.4), all: () => { view = { ...all }; show(); } };
  for (const button of frame.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", actions[button.dataset.zoom]);
  }

  const keys = {
    "+": actions.in, "=": actions.in, "-": actions.out, "0": actions.all,
    ArrowLeft: () => move(-60, 0), ArrowRight: () => move(60, 0),
    ArrowUp: () => move(0, -60), ArrowDown: () => move(0, 60),
  };
  frame.addEventListener("keydown", (event) => {
    if (event.target !== frame || event.ctrlKey || event.metaKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });

  // The wheel alone scrolls the page.
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, at.x, at.y);
  }, { passive: false });

  let last = null;
  let moved = false;
  svg.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    last = event;
    moved = false;
  });
  addEventListener("pointermove", (event) => {
    if (!last || event.pointerId !== last.pointerId) return;
    if (!moved && Math.hypot(event.clientX - last.clientX, event.clientY - last.clientY) < 5) return;
    moved = true;
    frame.classList.add("moving");
    move(last.clientX - event.clientX, last.clientY - event.clientY);
    last = event;
  });
  for (const end of ["pointerup", "pointercancel"]) {
    addEventListener(end, () => { last = null; frame.classList.remove("moving"); });
  }
  svg.addEventListener("dragstart", (event) => event.preventDefault());
  svg.addEventListener("click", (event) => { if (moved) event.preventDefault(); }, true);

  // Whoever comes to a table by a link sees it open.
  const open = () => {
    const target = location.hash.startsWith("#table-") && document.getElementById(location.hash.slice(1));
    if (!target) return;
    target.open = true;
    target.scrollIntoView();
    target.querySelector("summary").focus({ preventScroll: true });
  };
  addEventListener("hashchange", open);
  svg.addEventListener("click", (event) => {
    const link = event.target.closest("a.table");
    if (link && !moved && link.getAttribute("href") === location.hash) open();
  });
  open();
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("#checks details, #steps details")) one.open = true;
  });
})();
