// The picture of people and ties.

/** The shapes of the largest groups, by their corners; a turn of 0 has one on top. Others are hollow circles. */
const GROUP_SHAPES = [
  { corners: 0, size: 1 },
  { corners: 4, turn: 0.125, size: 1.2 },
  { corners: 3, turn: 0, size: 1.35 },
  { corners: 4, turn: 0, size: 1.25 },
  { corners: 3, turn: 0.5, size: 1.35 },
  { corners: 6, turn: 0, size: 1.15 },
];

/** Somebody's mark: its shape and its colour say of which group they are. */
function groupMark(group, x, y, radius) {
  const shape = group === null ? undefined : GROUP_SHAPES[group];
  const name = `node ${shape ? `group-${group + 1}` : "group-none"}`;
  if (!shape?.corners) return h("circle", { cx: x.toFixed(1), cy: y.toFixed(1), r: radius.toFixed(1), class: name });
  const corners = Array.from({ length: shape.corners }, (_, index) => {
    const angle = 2 * Math.PI * (index / shape.corners + shape.turn - 0.25);
    return `${(x + shape.size * radius * Math.cos(angle)).toFixed(1)} ${(y + shape.size * radius * Math.sin(angle)).toFixed(1)}`;
  });
  return h("path", { d: `M${corners.join("L")}Z`, class: name });
}

/** People as marks and what ties them as lines: springs pull them together, all push each other apart. */
function network({ nodes, edges }) {
  return (width) => {
    const height = Math.round(Math.min(540, Math.max(360, width * 0.8)));
    const strongest = Math.max(1, ...nodes.map((node) => node.weight));
    const radius = nodes.map((node) => 4 + 11 * Math.sqrt(node.weight / strongest) * Math.min(1, 0.4 + width / 900));
    const place = layOut(radius, edges, width, height);
    const heaviest = Math.max(1, ...edges.map((edge) => edge.weight));
    const lines = edges.map((edge) => {
      const [from, to] = [place[edge.one], place[edge.other]];
      return h("line", {
        x1: from.x.toFixed(1),
        y1: from.y.toFixed(1),
        x2: to.x.toFixed(1),
        y2: to.y.toFixed(1),
        class: edge.isFollow ? "edge follow" : "edge",
        "stroke-dasharray": edge.isDashed ? "3 4" : null,
        "stroke-width": edge.isFollow ? 1.25 : (1 + 5 * (edge.weight / heaviest)).toFixed(1),
      });
    });
    // Who has most ties gets a name first; a name that would cover another's circle or name is left to the tooltip.
    const taken = place.map(({ x, y }, index) => [
      x - radius[index],
      y - radius[index],
      x + radius[index],
      y + radius[index],
    ]);
    const figures = nodes.map(({ group }, index) => groupMark(group, place[index].x, place[index].y, radius[index]));
    const names = nodes.map((node, index) => {
      const { x, y } = place[index];
      const name = shorten(node.name, 18);
      const half = [...name].length * 3.3;
      for (const base of [y + radius[index] + 12, y - radius[index] - 5]) {
        const box = [x - half, base - 9, x + half, base + 2];
        const isFree =
          box[0] > 0 &&
          box[2] < width &&
          base > 10 &&
          base < height &&
          !taken.some(
            (other, number) =>
              number !== index && box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3],
          );
        if (!isFree) continue;
        taken.push(box);
        return h("text", { x: x.toFixed(1), y: base.toFixed(1), class: "name" }, name);
      }
      return null;
    });
    const light = (index) => {
      figures[0].closest("svg")?.classList.toggle("some-lit", index >= 0);
      const near = new Set([index]);
      edges.forEach((edge, number) => {
        const isNear = edge.one === index || edge.other === index;
        lines[number].classList.toggle("lit", isNear);
        if (isNear) near.add(edge.one).add(edge.other);
      });
      nodes.forEach((_, number) => {
        const isLit = index >= 0 && near.has(number);
        figures[number].classList.toggle("lit", isLit);
        names[number]?.classList.toggle("lit", isLit);
      });
    };
    const marks = nodes.map((node, index) => {
      const { x, y } = place[index];
      return {
        x,
        y: y - radius[index],
        text: node.text,
        open: node.open,
        cursor: ["circle", { cx: x, cy: y, r: radius[index] + 3 }],
      };
    });
    return { height, shapes: [...lines, ...figures, ...names.filter(Boolean)], marks, light };
  };
}

function shorten(text, most) {
  const characters = [...text];
  return characters.length > most ? `${characters.slice(0, most - 1).join("")}…` : text;
}

/** Fruchterman and Reingold's layout, from a circle on: the same people and ties always lie the same. */
function layOut(radius, edges, width, height) {
  const count = radius.length;
  const nodes = Array.from({ length: count }, (_, index) => {
    const angle = index * 2.399963;
    const away = Math.sqrt((index + 0.5) / count) * 0.45;
    return { x: 0.5 + away * Math.cos(angle), y: 0.5 + away * Math.sin(angle), dx: 0, dy: 0 };
  });
  const ideal = 0.85 * Math.sqrt(1 / Math.max(count, 1));
  const heaviest = Math.max(1, ...edges.map((edge) => edge.weight));
  for (let round = 0; round < 300; round += 1) {
    for (const node of nodes) [node.dx, node.dy] = [(0.5 - node.x) * 0.06, (0.5 - node.y) * 0.06];
    for (let one = 0; one < count; one += 1) {
      for (let other = one + 1; other < count; other += 1) {
        const [dx, dy] = [nodes[one].x - nodes[other].x, nodes[one].y - nodes[other].y];
        const distance = Math.max(Math.hypot(dx, dy), 0.001);
        const push = (ideal * ideal) / (distance * distance);
        nodes[one].dx += dx * push;
        nodes[one].dy += dy * push;
        nodes[other].dx -= dx * push;
        nodes[other].dy -= dy * push;
      }
    }
    for (const edge of edges) {
      const [from, to] = [nodes[edge.one], nodes[edge.other]];
      const [dx, dy] = [from.x - to.x, from.y - to.y];
      const pull = (Math.hypot(dx, dy) / ideal) * (0.35 + 0.65 * (edge.weight / heaviest));
      from.dx -= dx * pull;
      from.dy -= dy * pull;
      to.dx += dx * pull;
      to.dy += dy * pull;
    }
    const heat = 0.06 * (1 - round / 300);
    for (const node of nodes) {
      const length = Math.max(Math.hypot(node.dx, node.dy), 0.0001);
      node.x += (node.dx / length) * Math.min(length, heat);
      node.y += (node.dy / length) * Math.min(length, heat);
    }
  }
  const span = (axis) => [Math.min(...nodes.map((node) => node[axis])), Math.max(...nodes.map((node) => node[axis]))];
  const [[x0, x1], [y0, y1]] = [span("x"), span("y")];
  const [side, above, below] = [Math.min(52, width * 0.1), 24, 30];
  const within = (value, least, most) => Math.min(Math.max(value, least), most);
  const placed = nodes.map((node) => ({
    x: side + ((node.x - x0) / Math.max(x1 - x0, 0.001)) * (width - 2 * side),
    y: above + ((node.y - y0) / Math.max(y1 - y0, 0.001)) * (height - above - below),
  }));
  // Circles that lie on each other are moved apart, with room for a name below each.
  for (let round = 0; round < 120; round += 1) {
    for (let first = 0; first < count; first += 1) {
      for (let second = first + 1; second < count; second += 1) {
        const [a, b] = [placed[first], placed[second]];
        const [dx, dy] = [(b.x - a.x) / 1.5 || 0.1, b.y - a.y || 0.1];
        const distance = Math.hypot(dx, dy);
        const overlap = radius[first] + radius[second] + 16 - distance;
        if (overlap <= 0) continue;
        const [moveX, moveY] = [(dx / distance) * overlap * 0.3, (dy / distance) * overlap * 0.3];
        a.x -= moveX;
        a.y -= moveY;
        b.x += moveX;
        b.y += moveY;
      }
    }
    for (const node of placed)
      [node.x, node.y] = [within(node.x, side * 0.5, width - side * 0.5), within(node.y, above, height - below)];
  }
  return placed;
}
