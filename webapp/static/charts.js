"use strict";

// Draw the overview's charts in the colours of the page.
(async () => {
  const place = document.querySelector("[data-trends]");
  if (!place) return;

  const colour = (name) => {
    const probe = document.createElement("span");
    probe.className = name;
    place.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  const ink = colour("faint");
  const series = (label, of, unit = "") => ({ label, stroke: colour(of), width: 1.5, points: { show: false }, value: (_, value) => (value === null || value === undefined ? "–" : `${value}${unit}`) });
  const axis = { stroke: ink, grid: { stroke: colour("grid-line"), width: 1 }, ticks: { show: false } };
  const charts = {
    throughput: (found) => [[series("completed", "status completed"), series("failed", "status failed"), series("cancelled", "status cancelled")], [found.completed, found.failed, found.cancelled]],
    wait: (found) => [[series("wait", "status running", " s")], [found.wait_seconds]],
  };

  async function draw() {
    const answer = await fetch(place.dataset.trends);
    if (!answer.ok) return;
    const found = await answer.json();
    for (const box of place.querySelectorAll("[data-chart]")) {
      const [lines, values] = charts[box.dataset.chart](found);
      const options = {
        width: box.clientWidth,
        height: 190,
        series: [{ label: "time (UTC)", value: "{YYYY}-{MM}-{DD} {HH}:{mm}" }, ...lines],
        axes: [{ ...axis, values: (_, times) => times.map((at) => new Date(at * 1e3).toISOString().slice(11, 16)) }, { ...axis, size: 44 }],
        scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] } },
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"),
      };
      box.replaceChildren();
      new uPlot(options, [found.at, ...values], box);
    }
  }

  await draw();
  setInterval(() => { if (!document.hidden) draw(); }, 60_000);
  addEventListener("resize", () => { clearTimeout(draw.later); draw.later = setTimeout(draw, 200); });
})();
