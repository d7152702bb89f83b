import HTTP
import Runtime
import Shared

/// The API's description and the pages that show it.
struct Documents: Sendable {
    let upstreams: Upstreams
    let client: Client
    /// Our own routes' part.
    let own: @Sendable () -> JSON
    /// Swagger UI and ReDoc, unpacked when the platform is set up; nil where they are not.
    let assets: StaticFiles?
    let publicURL: String
    let log: Log

    /// A program that has just been replaced may describe itself anew.
    private static let timeout: Duration = .seconds(3)

    var routes: [Route] {
        let events = AsyncAPI.document(publicURL: publicURL).jsonBytes
        var routes: [Route] = [
            .get(
                "/asyncapi.json", "The topics and the live stream (AsyncAPI 3.0), from the events' own types",
                tag: "documents", family: .plain, access: .everyone, limit: .none, returns: .ok(.anyObject)
            ) { request in Response.bytes(type: "application/json", events).conditional(request) },
            .get(
                "/api/schema/", "This description (OpenAPI 3.1), from every program's own route table",
                tag: "documents",
                family: .plain, access: .everyone, limit: .none, returns: .ok(.anyObject)
            ) { _ in await schema() },
            .get(
                "/.well-known/security.txt", "Whom to tell of a weakness (RFC 9116)", tag: "documents", family: .plain,
                access: .everyone, limit: .none, returns: .ok(.string), produces: "text/plain"
            ) { _ in security() },
            .get(
                "/", "Where to begin", tag: "documents", family: .plain, access: .everyone, limit: .none,
                returns: .ok(.string), produces: "text/html"
            ) { _ in .html(200, Pages.home) },
        ]
        if let assets {
            routes.append(assets.route("/assets/docs", "Parts of the documentation pages"))
        }
        for path in ["/api/docs/", "/swagger/"] {
            routes.append(page(path, "The API, to try out (Swagger UI)", Pages.swagger))
        }
        for path in ["/api/redoc/", "/redoc/"] {
            routes.append(page(path, "The API, to read (ReDoc)", Pages.redoc))
        }
        return routes
    }

    private func page(_ path: String, _ summary: String, _ html: String) -> Route {
        let hasAssets = assets != nil
        // `/api/redoc/` and `/redoc/` would otherwise both be called getRedoc.
        let id = "get" + path.split(separator: "/").map(\.capitalized).joined()
        return .get(
            path, summary, id: id, tag: "documents", family: .plain, access: .everyone, limit: .none,
            returns: .ok(.string), produces: "text/html"
        ) { _ in
            guard hasAssets else {
                throw Problem(
                    .notFound, "The documentation pages are not unpacked here; /api/schema/ has the description.")
            }
            return .html(200, html)
        }
    }

    /// Every program's document as one. A program that does not answer is left out and named in a header.
    private func schema() async -> Response {
        var documents = [own()]
        var missing: [String] = []
        for owner in Owner.allCases {
            if let document = await document(of: owner) {
                documents.append(document)
            } else {
                missing.append(owner.rawValue)
            }
        }
        let merged = OpenAPI.merge(documents, title: "Switchboard", servers: [publicURL])
        var response = Response.json(200, merged)
        if !missing.isEmpty { response.headers.set("X-Missing-Programs", missing.joined(separator: ", ")) }
        return response
    }

    private func document(of owner: Owner) async -> JSON? {
        for url in upstreams.urls(owner) {
            var request = ClientRequest.get(url + "/openapi.json")
            request.timeout = Self.timeout
            do {
                let response = try await client.send(request)
                if response.isSuccess { return try response.json() }
            } catch {
                log.debug("schema.not_fetched", ("program", "\(owner.rawValue)"), ("error", "\(error)"))
            }
        }
        return nil
    }

    private func security() -> Response {
        .text(200, "Contact: \(publicURL)/api/docs/\nPreferred-Languages: en\nExpires: \(Self.yearAhead)\n")
    }

    private static var yearAhead: String { (Instant.now() + .seconds(365 * 86_400)).iso }
}

/// Small pages, whole in the program.
enum Pages {
    static let home = """
        <!doctype html><html lang="en"><meta charset="utf-8"><title>Switchboard</title>
        <style>body{font:16px/1.6 system-ui,sans-serif;max-width:44rem;margin:4rem auto;padding:0 1rem;color:#1d2733}
        a{color:#0b62c4}code{background:#eef2f6;padding:.1em .3em;border-radius:4px}</style>
        <h1>Switchboard</h1><p>The backend of an AI call centre. This gateway answers <code>/api/*</code> and
        <code>/ws/calls</code>.</p>
        <ul><li><a href="/api/docs/">Try the API</a> (Swagger UI)</li><li><a href="/api/redoc/">Read the API</a> (ReDoc)</li>
        <li><a href="/api/schema/">OpenAPI 3.1</a>, <a href="/asyncapi.json">AsyncAPI 3.0</a></li><li><a href="/live">Watch calls live</a></li>
        <li><a href="/readyz">Is it ready?</a></li></ul></html>
        """

    static let swagger = """
        <!doctype html><html lang="en"><head><meta charset="utf-8"><title>Switchboard API</title>
        <link rel="stylesheet" href="/assets/docs/swagger/swagger-ui.css"></head><body><div id="ui"></div>
        <script charset="utf-8" src="/assets/docs/swagger/swagger-ui-bundle.js"></script>
        <script>SwaggerUIBundle({url:"/api/schema/",dom_id:"#ui",validatorUrl:null,persistAuthorization:true,
        tryItOutEnabled:true})</script></body></html>
        """

    static let redoc = """
        <!doctype html><html lang="en"><head><meta charset="utf-8"><title>Switchboard API</title>
        <style>body{margin:0}</style></head><body><div id="ui"></div>
        <script charset="utf-8" src="/assets/docs/redoc/redoc.standalone.js"></script>
        <script>Redoc.init("/api/schema/",{hideLogo:true},document.getElementById("ui"))</script></body></html>
        """

    /// Calls as they happen, in a page of its own: log in, and watch.
    static let live = """
        <!doctype html><html lang="en"><meta charset="utf-8"><title>Live calls</title>
        <style>body{font:15px/1.5 system-ui,sans-serif;margin:1.5rem;color:#1d2733}form{display:flex;gap:.5rem}
        input,button{font:inherit;padding:.3rem .6rem}#calls{display:grid;grid-template-columns:repeat(auto-fill,minmax(22rem,1fr));
        gap:.8rem;margin-top:1rem}.call{border:1px solid #d5dde5;border-radius:8px;padding:.7rem}.call h2{font-size:1rem;margin:0}
        .ended{opacity:.6}.line{margin:.2rem 0}.ai{color:#0b62c4}.positive{background:#e4f6e8}.negative{background:#fbe7e6}
        .meta{color:#5a6b7b;font-size:.85rem}.log{max-height:14rem;overflow:auto}</style>
        <h1>Live calls</h1><form id="login"><input id="email" placeholder="e-mail" autocomplete="username">
        <input id="password" type="password" placeholder="password" autocomplete="current-password"><button>Watch</button>
        <span id="state" class="meta"></span></form><div id="calls"></div><script>
        const $=i=>document.getElementById(i);const cards=new Map();let last=null,token=null;
        function card(id){let c=cards.get(id);if(!c){const e=document.createElement("div");e.className="call";
        for(const k of ["h2","p","div"]){const x=document.createElement(k);e.append(x);}e.children[1].className="meta";
        e.children[2].className="log";e.children[0].textContent="Call "+id.slice(-6);$("calls").prepend(e);
        c={e,head:e.children[0],meta:e.children[1],log:e.children[2]};cards.set(id,c);
        if(cards.size>60){const o=cards.keys().next().value;cards.get(o).e.remove();cards.delete(o);}}return c;}
        function show(call){const c=card(call.id);c.head.textContent=call.direction+" "+call.from_number+" → "+call.to_number;
        c.meta.textContent=[call.status,call.sentiment,call.outcome,call.qa_score!=null?"QA "+call.qa_score.toFixed(2):null]
        .filter(Boolean).join(" · ");}
        const on={"call.started":d=>show(d.call),"call.updated":d=>show(d.call),
        "call.ended":d=>card(d.call_id).e.classList.add("ended"),
        "interaction.added":d=>{const c=card(d.call_id),l=document.createElement("div");
        l.className="line "+d.interaction.speaker;l.textContent=(d.interaction.speaker==="ai"?"AI: ":"Caller: ")+d.interaction.text;
        c.log.append(l);c.log.scrollTop=1e9;},
        "sentiment.changed":d=>{const c=card(d.call_id);c.e.classList.remove("positive","negative","neutral");
        c.e.classList.add(d.sentiment.label);},
        "qa.score.updated":d=>{card(d.call_id).meta.textContent+=" · QA "+d.qa_score.overall_score.toFixed(2);},
        "escalation.triggered":d=>{card(d.call_id).meta.textContent+=" · escalated ("+d.escalation.trigger_type+")";}};
        function connect(){const w=new WebSocket((location.protocol==="https:"?"wss://":"ws://")+location.host+"/ws/calls",
        ["bearer",token]);w.onopen=()=>{$("state").textContent="live";
        w.send(JSON.stringify({event:"subscribe",data:{type:"all_calls"}}));
        if(last)w.send(JSON.stringify({event:"resume",data:{after:last}}));};
        w.onmessage=m=>{const f=JSON.parse(m.data);if(f.id)last=f.id;if(on[f.event])on[f.event](f.data);};
        w.onclose=()=>{$("state").textContent="reconnecting…";setTimeout(connect,1000);};}
        $("login").onsubmit=async e=>{e.preventDefault();const r=await fetch("/api/auth/login/",{method:"POST",
        headers:{"Content-Type":"application/json"},body:JSON.stringify({email:$("email").value,password:$("password").value})});
        const d=await r.json();if(!r.ok){$("state").textContent=d.detail;return;}token=d.access;connect();};
        </script></html>
        """
}

extension Substring {
    fileprivate var capitalized: String { prefix(1).uppercased() + dropFirst() }
}
