"use strict";
// A small viewer of the OpenAPI 2.0 document: lists calls, parameters and schemas, and tries a call. Text from the document is only
// ever set as text, never as markup. The token stays in the input: it is stored nowhere.
(async () => {
  // What an answer may hold that would turn its line around or hide: shown as a code.
  const hidden = /(?!\n)[\p{C}\p{Zl}\p{Zp}]/gu;
  const place = document.getElementById("calls");
  const make = (tag, props = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), props);
    node.append(...children);
    return node;
  };
  let contract;
  try {
    const answer = await fetch("/docs/openapi.json");
    if (!answer.ok) throw new Error("status " + answer.status);
    contract = await answer.json();
  } catch (problem) {
    place.replaceChildren(make("p", { textContent: "The contract could not be loaded: " + problem.message }));
    return;
  }

  const resolve = (schema) => {
    if (schema && schema.$ref) return contract.definitions[schema.$ref.replace("#/definitions/", "")] || {};
    return schema || {};
  };
  const nameOf = (schema) => {
    if (!schema) return "";
    if (schema.$ref) return schema.$ref.split("/").pop().split(".").pop();
    if (schema.type === "array") return "list of " + nameOf(schema.items);
    return (schema.type || "") + (schema.format ? " (" + schema.format + ")" : "");
  };

  // An example of a schema; depth bounds what refers to itself.
  const example = (schema, depth = 0) => {
    const full = resolve(schema);
    if (depth > 5) return null;
    if (full.enum) return full.enum[full.enum.length > 1 ? 1 : 0];
    if (full.type === "array") return [example(full.items, depth + 1)];
    if (full.type === "object" || full.properties) {
      const made = {};
      for (const [key, value] of Object.entries(full.properties || {})) made[key] = example(value, depth + 1);
      return made;
    }
    if (full.type === "boolean") return false;
    if (full.type === "integer" || full.type === "number") return 0;
    if (full.format === "date-time") return new Date().toISOString();
    return full.format === "int64" ? "0" : "";
  };

  // The fields of a schema, opened one level at a time.
  const fields = (schema) => {
    const full = resolve(schema.type === "array" ? schema.items : schema);
    if (full.enum) return make("p", {}, make("code", { textContent: full.enum.join(" | ") }));
    const table = make("table");
    for (const [key, value] of Object.entries(full.properties || {})) {
      const about = make("td", { textContent: value.description || value.title || resolve(value).description || "" });
      const inner = value.type === "array" ? value.items : value;
      if (inner && inner.$ref) {
        const more = make("details", { className: "schema" }, make("summary", { textContent: nameOf(inner) }));
        more.addEventListener("toggle", () => { if (more.open && more.children.length === 1) more.append(fields(inner)); });
        about.append(more);
      }
      table.append(make("tr", {}, make("td", {}, make("code", { textContent: key })), make("td", { textContent: nameOf(value) }), about));
    }
    return table.children.length ? table : make("p", { textContent: "No fields." });
  };

  const tryForm = (verb, path, parameters) => {
    const form = make("form");
    const inputs = new Map();
    for (const parameter of parameters) {
      if (parameter.in === "body") {
        const area = make("textarea", { value: JSON.stringify(example(parameter.schema), null, 2), spellcheck: false });
        inputs.set(parameter, area);
        form.append(make("label", {}, "Body", area));
        continue;
      }
      const input = make("input", { required: parameter.in === "path", autocomplete: "off" });
      inputs.set(parameter, input);
      form.append(make("p", {}, make("label", {}, make("code", { textContent: parameter.name + " " }), input)));
    }
    const output = make("pre", { hidden: true });
    form.append(make("button", { textContent: "Send" }), output);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      let target = path, body;
      const query = new URLSearchParams();
      for (const [parameter, input] of inputs) {
        if (parameter.in === "path") target = target.replace("{" + parameter.name + "}", encodeURIComponent(input.value));
        else if (parameter.in === "body") body = input.value;
        else for (const one of parameter.type === "array" ? input.value.split(",") : [input.value]) if (one.trim()) query.append(parameter.name, one.trim());
      }
      if (query.size) target += "?" + query;
      const headers = {};
      const token = document.getElementById("token").value.trim();
      if (token) headers.Authorization = "Bearer " + token;
      if (body !== undefined) headers["Content-Type"] = "application/json";
      output.hidden = false;
      output.textContent = "…";
      try {
        const answer = await fetch(target, { method: verb.toUpperCase(), headers, body });
        let text = await answer.text();
        try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it came */ }
        text = text.replace(hidden, (c) => "\\u{" + c.codePointAt(0).toString(16) + "}");
        output.textContent = verb.toUpperCase() + " " + target + "\n" + answer.status + "  x-request-id: " + answer.headers.get("x-request-id") + "\n\n" + text;
      } catch (problem) {
        output.textContent = "No answer: " + problem.message;
      }
    });
    return form;
  };

  const fill = (body, verb, path, call) => {
    const parameters = call.parameters || [];
    if (call.description) body.append(make("p", { textContent: call.description }));
    if (parameters.length) {
      body.append(make("h3", { textContent: "Parameters" }));
      const table = make("table");
      for (const p of parameters.filter((p) => p.in !== "body")) {
        table.append(make("tr", {}, make("td", {}, make("code", { textContent: p.name })), make("td", { textContent: p.in + (p.required ? ", required" : "") }),
          make("td", { textContent: nameOf(p) }), make("td", { textContent: p.description || "" })));
      }
      body.append(table);
      for (const p of parameters.filter((p) => p.in === "body")) body.append(make("h3", { textContent: "Body" }), fields(p.schema));
    }
    const good = call.responses && call.responses["200"];
    if (good && good.schema) body.append(make("h3", { textContent: "Answer: " + nameOf(good.schema) }), fields(good.schema));
    body.append(make("h3", { textContent: "Try it" }), tryForm(verb, path, parameters));
  };

  const groups = new Map((contract.tags || []).map((tag) => [tag.name, { about: tag.description || "", calls: [] }]));
  for (const [path, verbs] of Object.entries(contract.paths)) {
    for (const [verb, call] of Object.entries(verbs)) {
      const tag = (call.tags && call.tags[0]) || "Other";
      if (!groups.has(tag)) groups.set(tag, { about: "", calls: [] });
      const card = make("details", { className: "call" });
      card.append(make("summary", {}, make("span", { className: "verb " + verb, textContent: verb.toUpperCase() }), make("code", { textContent: path }),
        make("span", { className: "summary", textContent: call.summary || "" })));
      card.dataset.words = [verb, path, call.operationId, call.summary].join(" ").toLowerCase();
      card.addEventListener("toggle", () => {
        if (!card.open || card.children.length > 1) return;
        const body = make("div", { className: "body" });
        fill(body, verb, path, call);
        card.append(body);
      });
      groups.get(tag).calls.push(card);
    }
  }
  place.replaceChildren();
  for (const [name, group] of groups) {
    if (group.calls.length) place.append(make("section", {}, make("h2", { textContent: name }), make("p", { className: "summary", textContent: group.about }), ...group.calls));
  }
  document.getElementById("filter").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase();
    for (const section of place.children) {
      let shown = 0;
      for (const card of section.querySelectorAll("details.call")) {
        card.hidden = !card.dataset.words.includes(words);
        if (!card.hidden) shown++;
      }
      section.hidden = shown === 0;
    }
  });
})();
