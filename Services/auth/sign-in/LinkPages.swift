import HTTP

/// What opens when somebody follows a link in a mail and no frontend of their own has been set to take it: two small
/// pages that send what stands behind the `#` to the API.
enum LinkPages {
    static func verifyEmail(_ request: Request) -> Response {
        page(
            "Confirm your e-mail address",
            """
            <button>Yes, this address is mine</button>
            """, post: "/api/auth/verify-email/", fields: "")
    }

    static func resetPassword(_ request: Request) -> Response {
        page(
            "Choose a new password",
            """
            <label>New password <input id="p" type="password" autocomplete="new-password" required minlength="8"></label>
            <button>Set it</button>
            """, post: "/api/auth/password/reset/confirm/", fields: "new_password: document.getElementById('p').value,")
    }

    private static func page(_ title: String, _ form: String, post: String, fields: String) -> Response {
        var response = Response.html(
            200,
            """
            <!doctype html>
            <html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
            <title>\(title)</title>
            <style>body{font:16px/1.5 system-ui;max-width:26rem;margin:4rem auto;padding:0 1rem}
            input,button{font:inherit;padding:.5rem;margin:.5rem 0;width:100%;box-sizing:border-box}</style>
            <h1>\(title)</h1>
            <form>\(form)</form>
            <p role="status"></p>
            <script>
            const said = document.querySelector('p');
            document.querySelector('form').addEventListener('submit', async event => {
              event.preventDefault();
              const token = new URLSearchParams(location.hash.slice(1)).get('token') || '';
              const answer = await fetch('\(post)', {method: 'POST', headers: {'Content-Type': 'application/json'},
                body: JSON.stringify({\(fields) token})});
              const body = await answer.json();
              said.textContent = body.detail;
              if (answer.ok) document.querySelector('form').hidden = true;
            });
            </script>
            </html>
            """)
        response.headers.set(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
                + "form-action 'none'; frame-ancestors 'none'; base-uri 'none'")
        return response
    }
}
