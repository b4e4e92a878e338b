"use strict";

// One fold for each operation of the OpenAPI document: its parameters, its body, a button, and what the registry answered.
const make = (name, properties, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};

const field = (parameter, inputs) => {
  const input = make("input", { size: 40, required: parameter.required });
  inputs.push({ parameter, input });
  return make("label", {}, `${parameter.name}${parameter.required ? "" : " (optional)"} `, input, ` ${parameter.description ?? ""}`);
};

const send = async (method, path, inputs, body, output) => {
  const headers = {};
  const query = new URLSearchParams();
  for (const { parameter, input } of inputs) {
    if (input.value === "") continue;
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (parameter.in === "query") query.set(parameter.name, input.value);
    else headers[parameter.name] = input.value;
  }
  const token = document.getElementById("token").value;
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body && body.value.trim()) headers["Content-Type"] = "application/json";
  const url = query.size ? `${path}?${query}` : path;
  try {
    const answer = await fetch(url, { method, headers, body: body && body.value.trim() ? body.value : undefined });
    const text = await answer.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it came */ }
    output.textContent = `${method} ${url}\n${answer.status} ${answer.statusText}\n\n${shown}`;
  } catch (error) {
    output.textContent = `${method} ${url}\nno answer: ${error.message}`;
  }
};

const operation = (path, method, description) => {
  const inputs = [];
  const output = make("pre", { hidden: true });
  output.setAttribute("role", "status");
  const fold = make("details", {}, make("summary", {}, make("code", {}, `${method} ${path}`), ` ${description.summary}`));
  for (const parameter of description.parameters ?? []) fold.append(field(parameter, inputs));
  let body = null;
  const content = description.requestBody?.content["application/json"];
  if (content) {
    body = make("textarea", { value: JSON.stringify(content.example, null, 2), spellcheck: false });
    fold.append(make("label", {}, "body", body));
  }
  const button = make("button", { type: "button" }, "Send");
  button.addEventListener("click", async () => {
    output.hidden = false;
    await send(method, path, inputs, body, output);
  });
  fold.append(button, output);
  return fold;
};

(async () => {
  const api = await (await fetch("/v1/openapi.json")).json();
  for (const [path, methods] of Object.entries(api.paths))
    for (const [method, description] of Object.entries(methods))
      document.getElementById("operations").append(operation(path, method.toUpperCase(), description));
})();
