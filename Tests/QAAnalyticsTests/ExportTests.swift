import HTTP
import Postgres
import Reports
import Runtime
import Shared
import TestSupport
import Testing

@testable import QAAnalytics

@Suite struct ExportTests {
    private static let path = "/api/v1/analytics/export"

    private static func body(_ format: String, _ type: String, _ more: JSONObject = [:]) -> JSON {
        var object: JSONObject = [
            "format": .string(format), "report_type": .string(type), "from_date": "2026-03-01", "to_date": "2026-03-31",
        ]
        for pair in more.pairs { object[pair.name] = pair.value }
        return .object(object)
    }

    // MARK: CSV

    @Test func `text that a spreadsheet would compute is neutralised and numbers are not`() {
        func line(_ text: String) -> String {
            var csv = CSVText()
            csv.text(text)
            return String(decoding: csv.bytes, as: UTF8.self)
        }
        for formula in ["=1+1", "-1+1", "@SUM(A1)", "+1+1", "\t=1", "\r=1", "=HYPERLINK(\"http://x\")", "+"] {
            #expect(line(formula).hasPrefix("\"'"), "\(formula)")
        }
        #expect(line("+14155550123") == "+14155550123")
        #expect(line("+14155550123=1") == "\"'+14155550123=1\"")
        #expect(line("plain") == "plain" && line("") == "" && line("a=1") == "a=1")
        #expect(
            line("a,b") == "\"a,b\"" && line("say \"hi\"") == "\"say \"\"hi\"\"\"" && line("a\r\nb") == "\"a\r\nb\"")
        #expect(line("ünïcode, 日本") == "\"ünïcode, 日本\"")
        var csv = CSVText()
        csv.number(-0.25)
        csv.number(3.0)
        csv.empty()
        csv.plain("x")
        csv.endLine()
        #expect(String(decoding: csv.bytes, as: UTF8.self) == "-0.25,3,,x\r\n")
    }

    @Test(arguments: ReportType.allCases)
    func `every report is a CSV with a header row and lines as wide as it`(type: ReportType) async throws {
        try await AnalyticsFixture.with { fixture in
            try await fixture.calls(4100)
            try await fixture.call(at: "2026-03-02T12:00:00Z", from: "=cmd|' /C calc'!A0", failure: "@bad")
            let answer = await fixture.client.post(Self.path, json: Self.body("csv", type.rawValue))
            #expect(answer.status == 200, "\(answer.text)")
            #expect(answer.headers["Content-Type"]?.hasPrefix("text/csv") == true)
            #expect(answer.headers["Content-Disposition"]?.contains("switchboard-\(type.rawValue)-") == true)
            let lines = answer.text.split(separator: "\r\n").map {
                $0.split(separator: ",", omittingEmptySubsequences: false)
            }
            let widths = Set(lines.map(\.count))
            #expect(widths.count == 1, "\(widths)")
            if type.has(.calls) {
                #expect(lines.count { $0.contains("+14155550101") } == 4100)
                #expect(answer.text.contains("\"'=cmd|' /C calc'!A0\"") && answer.text.contains("\"'@bad\""))
                let ids = lines.dropFirst().compactMap { $0.count > 5 ? $0[type == .full ? 5 : 0] : nil }
                    .filter { $0.count == 36 }
                #expect(Set(ids).count == 4101)
            }
            if type.has(.overview) { #expect(answer.text.contains("overview,totals,,total_calls,4101")) }
            let others = await fixture.client.post(
                Self.path, json: Self.body("csv", type.rawValue), token: "stranger")
            #expect(!others.text.contains("+14155550101"))
        }
    }

    @Test(arguments: [
        ("format", "docx"), ("report_type", "everything"), ("from_date", "soon"), ("timezone", "Moon"),
        ("business_id", "x"), ("include_charts", "maybe"),
    ])
    func `a bad wish names its field`(field: String, value: String) async throws {
        try await AnalyticsFixture.with { fixture in
            let answer = await fixture.client.post(
                Self.path, json: Self.body("csv", "overview", [field: .string(value)]))
            #expect(answer.status == 400 && answer.badFields == [field], "\(answer.text)")
            let backwards = await fixture.client.post(
                Self.path, json: Self.body("csv", "calls", ["from_date": "2026-04-30"]))
            #expect(backwards.status == 400 && backwards.badFields == ["to_date"])
        }
    }

    // MARK: PDF

    @Test(arguments: ReportType.allCases, [true, false])
    func `every short report is a PDF at once`(type: ReportType, charts: Bool) async throws {
        try await AnalyticsFixture.with { fixture in
            try await fixture.calls(200)
            let answer = await fixture.client.post(
                Self.path, json: Self.body("pdf", type.rawValue, ["include_charts": .bool(charts)]))
            #expect(answer.status == 200, "\(answer.text)")
            #expect(answer.headers["Content-Type"] == "application/pdf")
            #expect(answer.body.starts(with: Array("%PDF-".utf8)))
            #expect(String(decoding: answer.body.suffix(8), as: UTF8.self).contains("%%EOF"))
        }
    }

    @Test func `a document goes on over pages, and what is ready can be taken as it grows`() throws {
        let document = try Document(title: "Any script: 日本語 العربية Ελληνικά हिन्दी", lines: ["one", "two"])
        document.heading("Calls")
        document.beginTable([.init("Name"), .init("Number", isNumber: true)])
        var size = 0
        for number in 0..<500 {
            document.row(["row", "\(number)"])
            size += document.take().count
        }
        #expect(document.page >= 9 && size > 0)
        document.endTable()
        document.bars("Empty", periods: [], [.init("none", [])])
        document.lines("One", periods: ["a"], [.init("one", [0])])
        document.shares("Nothing", [("a", 0), ("b", 0)])
        try document.finish()
        #expect(!document.take().isEmpty)
    }

    // MARK: Jobs

    @Test func `a long report is a job with progress and a file, for whoever asked`() async throws {
        try await AnalyticsFixture.with { fixture in
            try await fixture.calls(Int(ExportAnalytics.atOnceMax) + 1)
            let asked = await fixture.client.post(Self.path, json: Self.body("pdf", "calls"))
            #expect(asked.status == 202, "\(asked.text)")
            let job = try asked.json().object
            let url = try #require(job?["status_url"]?.string)
            #expect(job?["status"]?.string == "queued" && asked.headers["Location"] == url)
            #expect(await fixture.client.get("\(url)/file").status == 409)
            for token in ["colleague", "stranger", "admin"] {
                #expect(await fixture.client.get(url, token: token).status == 404)
                #expect(await fixture.client.get("\(url)/file", token: token).status == 404)
            }
            #expect(await fixture.client.get("\(Self.path)/7").status == 404)

            try await fixture.jobs.start(on: testLoops)
            try await eventually(within: .seconds(20), "the report is made") {
                try await fixture.client.get(url).json().object?["status"]?.string == "completed"
            }
            let done = try await fixture.client.get(url).json().object
            #expect(done?["progress"]?.int == 100)
            let file = await fixture.client.get(try #require(done?["download_url"]?.string))
            #expect(file.status == 200 && file.body.starts(with: Array("%PDF-".utf8)))
            #expect(file.body.count == done?["size"]?.int)
            await fixture.jobs.stop(deadline: .seconds(5))
        }
    }

    @Test func `a job whose program was killed is begun anew, and one that kills everybody is given up`() async throws {
        try await AnalyticsFixture.with { fixture in
            try await fixture.calls(10)
            let asked = await fixture.client.post(
                Self.path, json: Self.body("csv", "full"), headers: ["Prefer": "respond-async"])
            #expect(asked.status == 202)
            let url = try #require(try asked.json().object?["status_url"]?.string)
            // Somebody began it and wrote a piece.
            let dead = JobID()
            let claimed = try #require(try await ReportJobStore.claim(dead, fixture.database))
            #expect(
                try await ReportJobStore.write(
                    Array("half".utf8), part: 0, progress: 40, of: claimed.id, by: dead, fixture.database))
            #expect(try await ReportJobStore.claim(JobID(), fixture.database) == nil)
            // Since then nobody has heard of them.
            _ = try await fixture.database.execute(
                "UPDATE report_jobs SET heartbeat_at = now() - interval '1 minute'")
            try await fixture.jobs.start(on: testLoops)
            try await eventually(within: .seconds(20), "the report is made") {
                try await fixture.client.get(url).json().object?["status"]?.string == "completed"
            }
            await fixture.jobs.stop(deadline: .seconds(5))
            let file = await fixture.client.get("\(url)/file")
            #expect(file.text.hasPrefix("report,section,item,metric,value,call_id"))
            // The dead one comes back: nothing of it counts.
            #expect(
                try await !ReportJobStore.write(
                    Array("late".utf8), part: 9, progress: 50, of: claimed.id, by: dead, fixture.database))

            _ = try await fixture.database.execute(
                """
                UPDATE report_jobs SET status = 'running', attempts = 3, owner = \(dead),
                    heartbeat_at = now() - interval '1 minute'
                """)
            #expect(try await ReportJobStore.claim(JobID(), fixture.database) == nil)
            try await ReportJobStore.tidy(fixture.database)
            let failed = try await fixture.client.get(url).json().object
            #expect(failed?["status"]?.string == "failed" && failed?["error"]?.string?.isEmpty == false)
            let left = try await fixture.database.queryOne("SELECT count(*)::int AS n FROM report_parts")
            #expect(try left?["n"] == 0, "what there was of its file is gone")
        }
    }

    @Test func `the same wish under one key is one job, and nobody has many under way`() async throws {
        try await AnalyticsFixture.with { fixture in
            var headers: Headers = ["Prefer": "respond-async", "Idempotency-Key": "once"]
            let first = await fixture.client.post(Self.path, json: Self.body("csv", "qa"), headers: headers)
            let again = await fixture.client.post(Self.path, json: Self.body("csv", "qa"), headers: headers)
            #expect(first.status == 202 && first.body == again.body)
            headers.remove("Idempotency-Key")
            for _ in 1..<ReportJobStore.openMax {
                let next = await fixture.client.post(Self.path, json: Self.body("csv", "qa"), headers: headers)
                #expect(next.status == 202)
            }
            let many = await fixture.client.post(Self.path, json: Self.body("csv", "qa"), headers: headers)
            #expect(many.status == 409)
        }
    }
}
