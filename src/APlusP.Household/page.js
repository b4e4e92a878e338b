"use strict";

// What changes by itself is asked for again every three seconds, and put where the page has it; without this script it is as of when the page was asked for.
const told = element => element.textContent;

async function refresh() {
  try {
    const answer = await fetch("/live.json", { headers: { Accept: "application/json" } });
    if (answer.status === 401) { location.reload(); return; }
    if (!answer.ok) return;
    const live = await answer.json();
    for (const [id, text] of Object.entries(live.texts)) {
      const element = document.getElementById(id);
      if (element && told(element) !== text) element.textContent = text;
    }
    for (const [id, value] of Object.entries(live.meters)) {
      const meter = document.getElementById(id);
      if (meter) meter.value = value;
    }
    document.getElementById("state")?.classList.toggle("bad", !live.works);
    const hosts = document.getElementById("hosts");
    if (hosts) {
      hosts.replaceChildren(...live.hosts.map(host => {
        const row = document.createElement("tr");
        const name = document.createElement("td");
        const ports = document.createElement("td");
        ports.className = "number";
        name.textContent = host.host;
        ports.textContent = host.ports;
        row.append(name, ports);
        return row;
      }));
    }
  } catch {
    // The router is away for a moment.
  }
}

setInterval(refresh, 3000);
