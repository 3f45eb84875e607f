// The friendly note under the sentence. Runs as the body of a function that is given element, props and watch.
const draw = () => {
  const note = element.querySelector(".note");
  note.textContent = props.value || "";
  note.hidden = !props.value;
};
watch("value", draw);
draw();
