"use strict";
// The confusion matrix: its cells lead to their images.

for (const button of $$(".matrix [data-show]")) {
  button.onclick = () => {
    const matrix = button.closest(".matrix");
    $$("[data-show]", matrix).forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
    $$("[data-true]", matrix).forEach((cell) => (cell.textContent = cell.dataset[button.dataset.show]));
  };
}

for (const cell of $$("[data-true]")) {
  cell.onclick = () => browse({ target: cell.dataset.true, predicted: cell.dataset.predicted }, cell);
}
