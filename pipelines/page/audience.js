// Who reacts to what is written here, how far it travels, and the conversation below it.

function showAudience(view, period) {
  const words = PERIOD_WORDS[period.name];
  fill(
    "reach",
    view.reach.map(reached),
    `Who reacted to posts ${words.last} is not known: the service has not been asked.`,
  );
  offerPosts(
    "reach",
    view.reach.map((row) => row.post),
    {
      people: (_, at) => view.reach[at].people,
      outside: (_, at) => view.reach[at].outside,
      answers: (_, at) => view.reach[at].answers,
      depth: (_, at) => view.reach[at].depth,
    },
  );
  fill(
    "reactors",
    view.reactors.map((row) =>
      h(
        "li",
        {},
        who(row.who),
        h(
          "small",
          {},
          `${count(row.reactions, "reaction")} to ${count(row.posts, "post")}`,
          h("br"),
          "most to ",
          nameLink(row.to),
        ),
      ),
    ),
    `Nobody from outside the packs is known to have reacted ${words.last}.`,
  );
  offer("reactors", view.reactors, {
    handle: (row) => handleOf(row.who),
    reactions: "reactions",
    likes: "likes",
    reposts: "reposts",
    quotes: "quotes",
    replies: "replies",
    posts: "posts",
    most_to: (row) => handleOf(row.to),
  });
}

/** A post with how far it came, and the conversation below it. */
function reached(row) {
  const atLeast = row.is_whole ? "" : "at least ";
  const extra = `${atLeast}${count(row.people, "known person", "known people")}, ${percent(row.outside, row.people)} in no pack`;
  const card = post(row.post, { extra });
  const answers = content.conversations[state.pack][row.post] ?? [];
  if (answers.length) card.append(conversation(answers, row));
  return card;
}

function conversation(answers, { answers: all, depth }) {
  const rest = all > answers.length ? `, of which ${number(answers.length)} can be shown` : "";
  return h(
    "details",
    {},
    h("summary", {}, `${count(all, "answer")} on ${count(depth, "level")}${rest}`),
    h(
      "ol",
      { class: "conversation" },
      answers.map(([index, level]) => {
        const item = content.posts[index];
        const answer = h(
          "li",
          { "aria-level": level },
          nameLink(item.by),
          " ",
          h("span", { dir: "auto" }, item.text?.trim() || "No words"),
          " ",
          link(postUrl(item), h("time", { datetime: item.posted_at }, postedAt(item.posted_at))),
        );
        answer.style.marginInlineStart = `${Math.min(level - 1, 6)}rem`;
        return answer;
      }),
    ),
  );
}
