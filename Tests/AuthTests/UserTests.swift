import HTTP
import Postgres
import Shared
import TestSupport
import Testing

@testable import Auth

@Suite struct UserTests {
    private static func path(_ id: UserID, _ rest: String = "") -> String { "/api/users/users/\(id.text)/\(rest)" }

    @Test func `people see themselves, staff and admins see all`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            let staff = try await office.staff(admin)
            let ann = try await office.register("ann@example.com")
            let bob = try await office.register("bob@example.com")
            #expect(try await ann.client.get("/api/users/users/").ids() == [ann.id.text])
            #expect(await ann.client.get(Self.path(bob.id)).status == 404)
            #expect(await ann.client.get(Self.path(ann.id)).status == 200)
            #expect(await ann.client.patch(Self.path(bob.id), json: ["first_name": "X"]).status == 404)
            #expect(await ann.client.post("/api/users/users/", json: [:]).status == 403)
            for person in [admin, staff] {
                #expect(try await person.client.get("/api/users/users/").json()["count"] == 4)
                #expect(await person.client.get(Self.path(bob.id)).status == 200)
            }
            #expect(await office.anyone.get("/api/users/users/").status == 401)
        }
    }

    @Test func `what somebody may not change of themselves never changes`() async throws {
        try await Office.open { office in
            let ann = try await office.register("ann@example.com")
            for (name, value) in [
                ("role", "admin"), ("is_staff", true), ("is_superuser", true), ("is_verified", true),
                ("status", "suspended"), ("is_active", false),
            ] as [(String, JSON)] {
                let refused = await ann.client.patch(
                    "/api/users/users/me/", json: .object([name: value, "first_name": "Changed"]))
                #expect(refused.status == 403, "\(name)")
                #expect(refused.errors == [name])
            }
            let before = try await ann.client.get("/api/users/users/me/").json()
            #expect(before["first_name"] == "Ann")
            // What is so already may be sent back, and what is nobody's to set is passed over.
            var whole = try #require(before.object)
            whole["first_name"] = "Anna"
            whole["id"] = .string(UserID().text)
            whole["created_at"] = "2001-01-01T00:00:00Z"
            whole["password_hash"] = "x"
            let after = try await ann.client.put(Self.path(ann.id), json: .object(whole)).json()
            #expect(after["first_name"] == "Anna")
            for name in ["id", "created_at", "role", "is_staff", "is_verified", "email"] {
                #expect(after[name] == before[name], "\(name)")
            }
            #expect(await office.anyone.post("/api/auth/login/", json: Office.credentials(ann.email)).status == 200)
        }
    }

    @Test func `staff touch no admin and hand out no ranks`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            let staff = try await office.staff(admin)
            let ann = try await office.register("ann@example.com")
            #expect(await staff.client.patch(Self.path(admin.id), json: ["first_name": "X"]).status == 403)
            #expect(
                await staff.client.patch(Self.path(admin.id, "change_status/"), json: ["status": "suspended"]).status
                    == 403)
            for body in [["role": "admin"], ["is_staff": true], ["is_superuser": true]] as [JSON] {
                #expect(await staff.client.patch(Self.path(ann.id), json: body).status == 403)
            }
            let changed = await staff.client.patch(
                Self.path(ann.id), json: ["first_name": "Anna", "is_verified": true])
            #expect(changed.status == 200)
            #expect(try changed.json()["is_verified"] == true)
            let made = await admin.client.patch(Self.path(ann.id), json: ["role": "admin"])
            #expect(try made.json()["is_staff"] == true && made.json()["is_superuser"] == true)
            #expect(try await office.revoked().contains("user:\(ann.id.text)"))
            let contrary = await admin.client.patch(Self.path(ann.id), json: ["role": "admin", "is_superuser": false])
            #expect(contrary.errors == ["is_superuser"])
        }
    }

    @Test func `the last admin stays one`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            #expect(await admin.client.patch(Self.path(admin.id), json: ["role": "user"]).status == 409)
            let ann = try await office.register("ann@example.com")
            _ = await admin.client.patch(Self.path(ann.id), json: ["role": "admin"])
            let lessened = await admin.client.patch(Self.path(admin.id), json: ["role": "user"])
            #expect(lessened.status == 200)
            #expect(try lessened.json()["is_superuser"] == false && lessened.json()["is_staff"] == false)
        }
    }

    @Test func `a new address has still to be verified, and is nobody else's`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            let ann = try await office.register("ann@example.com")
            _ = try await office.register("bob@example.com")
            _ = await admin.client.patch(Self.path(ann.id), json: ["is_verified": true])
            let taken = await ann.client.patch("/api/users/users/me/", json: ["email": "BOB@example.com"])
            #expect(taken.status == 400 && taken.errors == ["email"])
            let moved = try await ann.client.patch("/api/users/users/me/", json: ["email": "ann@new.example"]).json()
            #expect(moved["email"] == "ann@new.example" && moved["is_verified"] == false)
            let events = try await office.events("auth.users")
            #expect(events.last?.type == "auth.user.updated.v1" && events.last?.json["email"] == "ann@new.example")
            for (field, value) in [("email", "x"), ("username", "a b"), ("phone", "12")] as [(String, JSON)] {
                let bad = await ann.client.patch("/api/users/users/me/", json: .object([field: value]))
                #expect(bad.status == 400 && bad.errors == [field])
            }
        }
    }

    @Test func `staff make accounts, once for an idempotency key`() async throws {
        try await Office.open { office in
            let staff = try await office.staff(try await office.admin())
            let body: JSON = [
                "username": "john_doe", "first_name": "John", "last_name": "Doe", "email": "john@example.com",
                "phone": "+1234567890", "password": "securepassword123",
            ]
            let headers: Headers = ["Idempotency-Key": "one"]
            let made = await staff.client.post("/api/users/users/", json: body, headers: headers)
            #expect(made.status == 201, "\(made.text)")
            #expect(!made.text.contains("securepassword123"))
            let again = await staff.client.post("/api/users/users/", json: body, headers: headers)
            #expect(again.status == 201 && again.body == made.body)
            let other = await staff.client.post(
                "/api/users/users/", json: ["email": "x@example.com", "password": "securepassword123"], headers: headers
            )
            #expect(other.status == 422)
            let login = await office.anyone.post(
                "/api/auth/login/", json: ["username": "john_doe", "password": "securepassword123"])
            #expect(login.status == 200)
            let promoted = await staff.client.post(
                "/api/users/users/",
                json: ["email": "y@example.com", "password": "securepassword123", "role": "admin"])
            #expect(promoted.status == 403 && promoted.errors == ["role"])
            let bad = await staff.client.post("/api/users/users/", json: ["email": "nonsense"])
            #expect(Set(bad.errors) == ["email", "password"])
        }
    }

    @Test func `a suspended account is out at once and told so only with its password`() async throws {
        try await Office.open { office in
            let staff = try await office.staff(try await office.admin())
            let ann = try await office.register("ann@example.com")
            #expect(
                await staff.client.patch(Self.path(staff.id, "change_status/"), json: ["status": "inactive"]).status
                    == 403)
            let bad = await staff.client.patch(Self.path(ann.id, "change_status/"), json: ["status": "gone"])
            #expect(bad.errors == ["status"])
            let done = await staff.client.patch(
                Self.path(ann.id, "change_status/"), json: ["status": "suspended", "reason": "Unpaid."])
            #expect(done.status == 200)
            #expect(try done.json()["status"] == "suspended" && done.json()["is_active"] == false)
            #expect(try await office.revoked().contains("user:\(ann.id.text)"))
            let told = try await office.events("auth.revocations").map { $0.json["id"]?.string }
            #expect(told.contains(ann.id.text))
            #expect(try await office.events("auth.users").last?.json["status"] == "suspended")
            let refresh = await office.anyone.post("/api/auth/refresh/", json: ["refresh": .string(ann.refresh)])
            #expect(refresh.status == 401 || refresh.status == 403)
            let login = await office.anyone.post("/api/auth/login/", json: Office.credentials(ann.email))
            #expect(login.status == 403 && login.code == "ACCOUNT_SUSPENDED")
            let guess = await office.anyone.post(
                "/api/auth/login/", json: ["email": .string(ann.email), "password": "not it at all"])
            #expect(guess.status == 401)
            _ = await staff.client.patch(Self.path(ann.id, "change_status/"), json: ["status": "active"])
            #expect(await office.anyone.post("/api/auth/login/", json: Office.credentials(ann.email)).status == 200)
        }
    }

    // MARK: The list

    /// Forty people whose fields are known, beside the admin.
    private static func crowd(_ office: Office) async throws -> Office.Person {
        let admin = try await office.admin()
        _ = try await office.database.execute(
            """
            INSERT INTO users (email, email_folded, username, username_folded, first_name, last_name, phone,
                               password_hash, role, is_staff, status, is_verified, last_login, created_at)
            SELECT 'u' || n || '@example.com', 'u' || n || '@example.com', 'name' || n, 'name' || n,
                   (ARRAY['Ann', 'Bob', 'anna', 'Zoë'])[1 + n % 4], (ARRAY['de la Cruz', 'Lee'])[1 + n % 2],
                   CASE WHEN n % 2 = 0 THEN '+4479000' || lpad(n::text, 5, '0') END, 'x',
                   CASE WHEN n % 10 = 0 THEN 'agent' ELSE 'user' END, n % 20 = 0,
                   CASE WHEN n % 8 = 0 THEN 'suspended' ELSE 'active' END, n % 3 = 0,
                   CASE WHEN n % 2 = 0 THEN now() - n * interval '1 hour' END, now() - n * interval '1 day'
            FROM generate_series(1, 40) AS n
            """)
        return admin
    }

    @Test(arguments: [
        ("role=agent", 4), ("role=admin", 1), ("status=suspended", 5), ("is_active=false", 5), ("is_staff=true", 3),
        ("is_superuser=true", 1), ("is_verified=false", 27), ("role=agent&is_staff=true", 2),
        ("email=U7@example.com", 1), ("username=NAME7", 1), ("first_name=ann", 10), ("last_name=LEE", 20),
        ("phone=%2B447900000002", 1), ("created_at__lte=2001-01-01", 0), ("search=u1", 11), ("search=u1@example", 1),
        ("search=cruz", 20), ("search=ann", 20), ("search=ann cruz", 20), ("search=bob%20de%20la", 0),
        ("search=bob%20lee", 10), ("search=%2B44%2079", 20), ("search=zo%C3%AB", 10), ("search='%20%7C%20x", 0),
        ("search=name3&role=agent", 1), ("search=nobody", 0), ("search=%20", 41),
    ])
    func `each filter finds those it means, and counts them`(_ query: String, _ count: Int) async throws {
        try await Office.open { office in
            let admin = try await Self.crowd(office)
            let target = query.split(separator: " ").joined(separator: "%20")
            let answer = await admin.client.get("/api/users/users/?page_size=5&\(target)")
            #expect(answer.status == 200, "\(answer.text)")
            #expect(try answer.json()["count"]?.int == count, "\(query)")
            #expect(try answer.ids().count == min(5, count))
        }
    }

    @Test func `a workspace's members, a range of days and a bad filter`() async throws {
        try await Office.open { office in
            let admin = try await Self.crowd(office)
            let own = await admin.client.get("/api/users/users/?workspace=\(admin.workspace.text)")
            #expect(try own.ids() == [admin.id.text])
            let (from, to) = (Instant.now() - .seconds(10 * 86_400 + 3600), Instant.now() - .seconds(5 * 86_400 - 3600))
            let range = await admin.client.get(
                "/api/users/users/?created_at__gte=\(from.iso)&created_at__lte=\(to.iso)")
            #expect(try range.json()["count"] == 6)
            for bad in [
                "role=king", "ordering=password_hash", "page=0", "page_size=101", "after=x", "is_staff=perhaps",
            ] {
                #expect(await admin.client.get("/api/users/users/?\(bad)").status == 400, "\(bad)")
            }
            #expect(await admin.client.get("/api/users/users/?unknown=1").status == 200)
        }
    }

    @Test(arguments: UserFilter.orders.flatMap { [$0, "-" + $0] })
    func `every order shows everybody once, by next links and by page numbers alike`(_ order: String) async throws {
        try await Office.open { office in
            let admin = try await Self.crowd(office)
            let whole = try await admin.client.get("/api/users/users/?page_size=100&ordering=\(order)").ids()
            #expect(whole.count == 41 && Set(whole).count == 41)
            var walked: [String] = []
            var target: String? = "/api/users/users/?page_size=7&ordering=\(order)"
            while let next = target, walked.count < 100 {
                let page = await admin.client.get(next)
                #expect(try page.json()["count"] == 41)
                walked += try page.ids()
                target = try page.json()["next"]?.string.map {
                    String($0.drop { $0 != "/" }.dropFirst(2).drop { $0 != "/" })
                }
            }
            #expect(walked == whole)
            let third = try await admin.client.get("/api/users/users/?page_size=7&page=3&ordering=\(order)").ids()
            #expect(third == Array(whole[14..<21]))
            let back = try await admin.client.get(
                "/api/users/users/?page_size=100&ordering=\(order.hasPrefix("-") ? String(order.dropFirst()) : "-" + order)"
            ).ids()
            #expect(back == whole.reversed())
        }
    }

    @Test func `many matches are found by walking the order, and counted`() async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            _ = try await office.database.execute(
                """
                INSERT INTO users (email, email_folded, username, username_folded, first_name, password_hash, role)
                SELECT 'm' || n || '@example.com', 'm' || n || '@example.com', 'm' || n, 'm' || n, 'Mia', 'x', 'user'
                FROM generate_series(1, 1500) AS n
                """)
            let broad = await admin.client.get("/api/users/users/?search=m&ordering=email&page_size=2")
            #expect(try broad.json()["count"] == 1500)
            #expect(try broad.json()["results"]?[0]?["email"] == "m1000@example.com")
            let counts = try await office.database.queryOne("SELECT sum(n)::bigint AS n FROM user_counts")
            #expect(try counts?.decode("n", as: Int64.self) == 1501)
            _ = try await office.database.execute("UPDATE users SET status = 'inactive' WHERE first_name = 'Mia'")
            _ = try await office.database.execute("DELETE FROM users WHERE email_folded LIKE 'm1___@example.com'")
            #expect(try await admin.client.get("/api/users/users/?status=inactive").json()["count"] == 999)
            #expect(try await admin.client.get("/api/users/users/?status=active").json()["count"] == 1)
        }
    }

    /// Five thousand and some people, of whom every fortieth is an agent, on a hundred days.
    private static func town(_ office: Office) async throws -> Office.Person {
        let admin = try await office.admin()
        _ = try await office.database.execute(
            """
            INSERT INTO users (email, email_folded, username, username_folded, first_name, last_name, password_hash, role,
                               created_at, updated_at)
            SELECT 't' || n || '@example.com', 't' || n || '@example.com', 't' || n, 't' || n,
                   CASE WHEN n % 2 = 0 THEN 'Tom' ELSE 'Ada' END, CASE WHEN n % 1000 = 0 THEN 'van Tom' ELSE 'Ng' END, 'x',
                   CASE WHEN n % 40 = 0 THEN 'agent' ELSE 'user' END, at, at
            FROM (SELECT n, '2020-01-01T12:00:00Z'::timestamptz + (n * 37 % 100) * interval '1 day' AS at
                  FROM generate_series(1, 5200) AS n) AS people
            """)
        _ = try await office.database.execute("ANALYZE users")
        return admin
    }

    @Test(arguments: [
        // Both ends of a range, by days and by the hour; a kind among them.
        ("created_at__gte=2020-01-01&created_at__lte=2020-01-10", 520, false),
        ("created_at__gte=2020-01-01T12:00:00Z&created_at__lte=2020-01-10T12:00:00Z", 468, false),
        ("created_at__gte=2020-01-02T11:00:00Z&created_at__lte=2020-01-02T13:00:00Z", 52, false),
        ("created_at__gte=2020-01-02T13:00:00Z&created_at__lte=2020-01-02T14:00:00Z", 0, false),
        ("created_at__lte=2020-12-31", 5200, false), ("created_at__lte=2020-12-31&role=agent", 130, false),
        ("updated_at__lte=2020-12-31", 5200, false), ("created_at__lte=2020-12-31&ordering=email", 5200, false),
        ("search=ng", 5195, true), ("search=tom", 2600, true), ("search=tom&role=agent", 130, false),
        ("search=ada%20ng", 2600, true), ("search=van%20to", 5, false), ("search=tom%20tom", 2600, true),
        ("search=t5", 312, false),
    ])
    func `many are counted and estimated, and pages of them are the same however they are found`(
        _ query: String, _ count: Int, _ isEstimate: Bool
    ) async throws {
        try await Office.open { office in
            let admin = try await Self.town(office)
            let target = "/api/users/users/?\(query.contains("ordering") ? "" : "ordering=username&")\(query)"
            let first = try await admin.client.get(target + "&page_size=20").json()
            #expect(first["count_is_estimate"]?.bool ?? false == isEstimate)
            let counted = try #require(first["count"]?.int)
            #expect(isEstimate ? counted > ReadUsers.searchedMax : counted == count, "\(query): \(counted)")
            let hundred = try await admin.client.get(target + "&page_size=100").ids()
            let pages = [
                try await admin.client.get(target + "&page_size=20").ids(),
                try await admin.client.get(target + "&page_size=20&page=2").ids(),
            ]
            #expect(Set(hundred).count == min(100, count))
            #expect(pages.flatMap { $0 } == Array(hundred.prefix(40)))
            // The last page, which only the far end of the order holds.
            let last = max(1, (count + 99) / 100)
            let end = try await admin.client.get(target + "&page_size=100&page=\(last)").ids()
            #expect(end.count == count - (last - 1) * 100, "\(query)")
        }
    }

    @Test func `the tables of counts follow whoever comes, changes and goes`() async throws {
        try await Office.open { office in
            _ = try await Self.town(office)
            for change in [
                "UPDATE users SET status = 'suspended' WHERE role = 'agent'" as Query,
                "UPDATE users SET created_at = created_at + interval '1 day' WHERE first_name = 'Ada'",
                "DELETE FROM users WHERE username LIKE 't1%'",
            ] {
                _ = try await office.database.execute(change)
                let wrong = try await office.database.query(
                    """
                    SELECT day, kinds FROM (
                        SELECT user_day(created_at) AS day, kinds, count(*) AS n FROM users GROUP BY 1, 2
                        UNION ALL SELECT day, kinds, -n FROM user_days) AS d GROUP BY 1, 2 HAVING sum(n) <> 0
                    UNION ALL SELECT NULL, kinds FROM (
                        SELECT kinds, count(*) AS n FROM users GROUP BY 1
                        UNION ALL SELECT kinds, -n FROM user_counts) AS c GROUP BY 2 HAVING sum(n) <> 0
                    """)
                #expect(wrong.count == 0)
            }
        }
    }

    @Test(arguments: ["created_at", "-created_at", "email", "-email"])
    func `a far page holds who stands there`(_ order: String) async throws {
        try await Office.open { office in
            let admin = try await office.admin()
            _ = try await office.database.execute(
                """
                INSERT INTO users (email, email_folded, username, username_folded, password_hash, role, created_at)
                SELECT 'f' || n || '@example.com', 'f' || n || '@example.com', 'f' || n, 'f' || n, 'x',
                       CASE WHEN n % 7 = 0 THEN 'agent' ELSE 'user' END,
                       '2020-01-01'::timestamptz + n * interval '13 minutes'
                FROM generate_series(1, 24000) AS n
                """)
            for (kind, pages, size) in [
                ("", [101, 150, 239, 240, 241, 242], 100), ("role=user&", [150, 205, 206], 100),
            ] {
                for number in pages {
                    let found = try await admin.client.get(
                        "/api/users/users/?\(kind)page_size=\(size)&page=\(number)&ordering=\(order)"
                    ).ids()
                    let column: Query = order.hasSuffix("email") ? "email_folded" : "created_at"
                    let direction: Query = order.hasPrefix("-") ? "DESC" : "ASC"
                    let rows = try await office.database.query(
                        """
                        SELECT id FROM users WHERE \(kind.isEmpty) OR role = 'user'
                        ORDER BY \(fragment: column) \(fragment: direction), id \(fragment: direction)
                        LIMIT \(size) OFFSET \((number - 1) * size)
                        """)
                    #expect(try found == rows.map { try $0.decode("id", as: UserID.self).text }, "\(kind)\(number)")
                }
            }
        }
    }

    @Test func `a copy that is still true is not sent again`() async throws {
        try await Office.open { office in
            let ann = try await office.register("ann@example.com")
            let first = await ann.client.get(Self.path(ann.id))
            let tag = try #require(first.headers["ETag"])
            #expect(await ann.client.get(Self.path(ann.id), headers: ["If-None-Match": tag]).status == 304)
            _ = await ann.client.patch("/api/users/users/me/", json: ["last_name": "Neu"])
            #expect(await ann.client.get(Self.path(ann.id), headers: ["If-None-Match": tag]).status == 200)
        }
    }
}

@Suite struct UserSearchTests {
    @Test(
        arguments: [
            ("  ", nil), ("Ann", .word("ann")), ("+49 (170) 12", .digits("4917012")), ("12", .word("12")),
            ("Ann  LEE", .words(["ann", "lee"])), ("a-b", .word("a-b")), ("123", .digits("123")),
        ] as [(String, UserSearch?)])
    func `is understood`(_ text: String, _ search: UserSearch?) { #expect(UserSearch(text) == search) }

    @Test(
        arguments: [
            ("ann", [("ann", ""), ("", "ann")]), ("ann lee", [("ann", "lee"), ("lee", "ann")]),
            ("an ann", [("ann", ""), ("an", "ann"), ("ann", "an"), ("", "ann")]), ("ann de lee", []),
        ] as [(String, [(String, String)])])
    func `words are shared out to the first and the last name`(_ text: String, _ names: [(String, String)]) {
        #expect(UserSearch(text)?.names == names.map { UserSearch.Name(first: $0.0, last: $0.1) })
    }

    @Test func `no word is an operator of a query`() {
        #expect(UserSearch.query(["o'brien", "a\\", "!"]) == #"'o''brien':* & 'a\\':* & '!':*"#)
    }
}

@Suite struct UserRankTests {
    private static func rank(
        _ role: Role?, _ staff: Bool?, _ superuser: Bool?, before: UserBody.Rank = (.user, false, false)
    ) -> String? {
        guard
            let rank = try? UserBody.rank(role: role, isStaff: staff, isSuperuser: superuser, before: before)
        else { return nil }
        return "\(rank.role) \(rank.isStaff) \(rank.isSuperuser)"
    }

    @Test func `role and flags say one thing`() {
        #expect(Self.rank(.admin, nil, nil) == "admin true true")
        #expect(Self.rank(nil, nil, true) == "admin true true")
        #expect(Self.rank(nil, true, nil) == "user true false")
        #expect(Self.rank(.agent, nil, nil) == "agent false false")
        #expect(Self.rank(nil, nil, false, before: (.admin, true, true)) == "user false false")
        #expect(Self.rank(.user, true, nil, before: (.admin, true, true)) == "user true false")
        #expect(Self.rank(.admin, false, nil) == nil && Self.rank(.user, nil, true) == nil)
        #expect(Self.rank(.admin, nil, false) == nil)
    }
}
