/// Small pages for people, whole in the program.
enum Pages {
    /// Three plugs of a switchboard; within the page, so that no browser asks for another file.
    static let icon = """
        <link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
        %3Crect width='16' height='16' rx='3' fill='%230b62c4'/%3E%3Cg fill='white'%3E%3Ccircle cx='4' cy='8' r='1.6'/%3E\
        %3Ccircle cx='8' cy='5' r='1.6'/%3E%3Ccircle cx='12' cy='10' r='1.6'/%3E%3C/g%3E%3C/svg%3E">
        """

    static let home = """
        <!doctype html><html lang="en"><meta charset="utf-8"><title>Switchboard</title>
        \(icon)
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
        \(icon)
        <link rel="stylesheet" href="/assets/docs/swagger/swagger-ui.css"></head><body><div id="ui"></div>
        <script charset="utf-8" src="/assets/docs/swagger/swagger-ui-bundle.js"></script>
        <script>SwaggerUIBundle({url:"/api/schema/",dom_id:"#ui",validatorUrl:null,persistAuthorization:true,
        tryItOutEnabled:true})</script></body></html>
        """

    static let redoc = """
        <!doctype html><html lang="en"><head><meta charset="utf-8"><title>Switchboard API</title>
        \(icon)
        <style>body{margin:0}</style></head><body><div id="ui"></div>
        <script charset="utf-8" src="/assets/docs/redoc/redoc.standalone.js"></script>
        <script>Redoc.init("/api/schema/",{hideLogo:true},document.getElementById("ui"))</script></body></html>
        """
}
