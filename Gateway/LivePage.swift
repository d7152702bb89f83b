extension Pages {
    /// Calls as they happen, in a page of its own: log in, and watch. Shows how little a client of `/ws/calls` needs.
    ///
    /// Everything that comes from calls goes into the page as text, never as markup.
    static let live = """
        <!doctype html>
        <html lang="en">
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width">
        <title>Live calls</title>
        \(icon)
        <style>
          :root { color-scheme: light dark; --ink: light-dark(#1d2733, #dde6ee); --soft: light-dark(#5a6b7b, #92a3b3);
                  --line: light-dark(#d5dde5, #33404d); --card: light-dark(#fff, #1b232c); --ai: light-dark(#0b62c4, #74b3ff) }
          body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem; color: var(--ink); background: light-dark(#f6f8fa, #12181f) }
          header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 1rem }
          [hidden] { display: none !important }
          h1 { font-size: 1.4rem; margin: 0 }
          form { display: flex; gap: .5rem }
          input, button { font: inherit; padding: .3rem .6rem }
          #state { color: var(--soft) }
          #calls { display: grid; grid-template-columns: repeat(auto-fill, minmax(22rem, 1fr)); gap: .8rem; margin-top: 1rem }
          article { border: 1px solid var(--line); border-left-width: 5px; border-radius: 8px; padding: .7rem; background: var(--card) }
          article h2 { font-size: 1rem; margin: 0 }
          article.positive { border-left-color: #2e9e56 }
          article.negative { border-left-color: #d3473f }
          article.ended { opacity: .65 }
          .facts { color: var(--soft); font-size: .85rem; margin: .1rem 0 .4rem }
          .lines { max-height: 14rem; overflow: auto }
          .lines p { margin: .2rem 0 }
          .lines .ai { color: var(--ai) }
        </style>
        <header>
          <h1>Live calls</h1>
          <form id="login">
            <input id="email" placeholder="e-mail" aria-label="e-mail" autocomplete="username" required>
            <input id="password" type="password" placeholder="password" aria-label="password"
                   autocomplete="current-password" required>
            <button>Watch</button>
          </form>
          <span id="state" role="status"></span>
        </header>
        <main id="calls"></main>
        <script>
          const element = id => document.getElementById(id);
          const state = text => element("state").textContent = text;
          const shownMost = 60;
          const cards = new Map();   // call id -> card
          let tokens = null;         // {access, refresh}
          let lastFrame = null;      // where to go on after a reconnect

          async function ask(path, body) {
            const answer = await fetch(path, body
              ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }
              : { headers: { Authorization: "Bearer " + tokens.access } });
            const json = await answer.json();
            if (!answer.ok) throw new Error(json.detail ?? json.error?.message ?? "HTTP " + answer.status);
            return json;
          }

          function card(id) {
            if (cards.has(id)) return cards.get(id);
            const made = { article: document.createElement("article"), facts: {} };
            for (const [name, tag] of [["title", "h2"], ["line", "p"], ["lines", "div"]]) {
              made[name] = document.createElement(tag);
              made.article.append(made[name]);
            }
            made.line.className = "facts";
            made.lines.className = "lines";
            made.title.textContent = "Call …" + id.slice(-6);
            element("calls").prepend(made.article);
            cards.set(id, made);
            if (cards.size > shownMost) {
              const [oldest] = cards.keys();
              cards.get(oldest).article.remove();
              cards.delete(oldest);
            }
            return made;
          }

          function tell(id, facts) {
            const it = card(id);
            Object.assign(it.facts, facts);
            it.line.textContent = Object.values(it.facts).filter(Boolean).join(" · ");
          }

          function feel(id, label) {
            card(id).article.classList.remove("positive", "neutral", "negative");
            if (label) card(id).article.classList.add(label);
          }

          function show(call) {
            card(call.id).title.textContent = `${call.direction} ${call.from_number} → ${call.to_number}`;
            tell(call.id, {
              status: call.status,
              human: call.assigned_agent && "with " + call.assigned_agent.name,
              outcome: call.outcome,
              quality: call.qa_score != null && "QA " + call.qa_score.toFixed(2),
            });
            feel(call.id, call.sentiment);
            if (call.ended_at) card(call.id).article.classList.add("ended");
          }

          const on = {
            "call.started": data => show(data.call),
            "call.updated": data => show(data.call),
            // How it ended comes with the next update.
            "call.ended": data => {
              card(data.call_id).article.classList.add("ended");
              tell(data.call_id, { status: "ended" });
            },
            "interaction.added": data => {
              const { speaker, text } = data.interaction, lines = card(data.call_id).lines;
              const line = document.createElement("p");
              line.className = speaker;
              line.textContent = (speaker === "ai" ? "AI: " : "Caller: ") + text;
              lines.append(line);
              lines.scrollTop = lines.scrollHeight;
            },
            "sentiment.changed": data => feel(data.call_id, data.sentiment.label),
            "qa.score.updated": data => tell(data.call_id, { quality: "QA " + data.qa_score.overall_score.toFixed(2) }),
            "escalation.triggered": data => tell(data.call_id, { escalation: "escalated: " + data.escalation.trigger_type }),
            "escalation.completed": data => tell(data.call_id, { escalation: "escalation " + data.escalation.status }),
          };

          function watch() {
            const scheme = location.protocol === "https:" ? "wss://" : "ws://";
            const socket = new WebSocket(scheme + location.host + "/ws/calls", ["bearer", tokens.access]);
            const send = (event, data) => socket.send(JSON.stringify({ event, data }));
            socket.onopen = () => {
              state("live");
              send("subscribe", { type: "all_calls", after: lastFrame ?? undefined });
            };
            socket.onmessage = message => {
              const frame = JSON.parse(message.data);
              if (frame.id) lastFrame = frame.id;
              if (frame.event === "resync") begin();
              else on[frame.event]?.(frame.data);
            };
            socket.onclose = async closed => {
              state("reconnecting …");
              try {
                // 4401: the token is over; the next one costs no password.
                if (closed.code === 4401) tokens = await ask("/api/auth/refresh/", { refresh: tokens.refresh });
              } catch (problem) {
                element("login").hidden = false;
                return state(problem.message);
              }
              setTimeout(watch, 1000);
            };
          }

          /// The calls under way now; frames tell what comes after.
          async function begin() {
            const { calls } = await ask("/api/v1/calls?status=in_progress&limit=50");
            for (const call of calls.reverse()) show(call);
          }

          element("login").onsubmit = async event => {
            event.preventDefault();
            try {
              tokens = await ask("/api/auth/login/", { email: element("email").value, password: element("password").value });
              element("login").hidden = true;
              watch();
              await begin();
            } catch (problem) {
              state(problem.message);
            }
          };
        </script>
        </html>
        """
}
