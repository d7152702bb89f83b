import HTTP
import Postgres
import Shared

/// `POST /api/v1/analytics/export`, and what becomes of reports that take long.
struct ExportAnalytics: Sendable {
    private let database: Database
    private let zones: Zones
    private let jobs: ReportJobs
    private let maker: ReportMaker

    /// A PDF with more calls is made as a job: up to here it takes about half a second.
    static let atOnceMax: Int64 = 2000
    /// Nobody turns that many pages; a list of more calls is for a program to read.
    static let pdfCallsMax: Int64 = 200_000

    init(_ database: Database, _ zones: Zones, _ jobs: ReportJobs) {
        self.database = database
        self.zones = zones
        self.jobs = jobs
        maker = ReportMaker(database)
    }

    static let about = """
        CSV (RFC 4180, UTF-8, with a header row) is answered at once and streamed, however long. Figures stand one a line \
        under `report,section,item,metric,value`; `calls` has a line a call; `full` has both, with all columns. Text that \
        a spreadsheet would take for a formula gets a leading `'`. A PDF is answered at once too, unless it lists more \
        than \(atOnceMax) calls or `Prefer: respond-async` asks for it: then the answer is 202 with a job, whose \
        `status_url` tells how far it is and, when it is completed, the `download_url`. Formulas are those of the other \
        endpoints.
        """

    static let prefer: Parameter = .header(
        "Prefer", .string, "`respond-async` (RFC 7240): make the report as a job, whatever its size.")

    func export(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        var form = try await request.form()
        let report = ReportRequest.read(&form)
        if !form.hasFailed { try await zones.check(report.range.zone, &form) }
        report.range.check(.fitting(report.range), &form)
        try form.finish()
        let scope = AnalyticsScope(tenancy: principal.tenancy(for: .readAnalytics), business: report.business)
        let figures = try await ReportFigures.read(report, scope, database)
        let calls = report.type.has(.calls) ? figures.overview.total : 0
        if report.format == .pdf, calls > Self.pdfCallsMax {
            throw Problem.validation(
                "format", "cannot be pdf for \(calls) calls (at most \(Self.pdfCallsMax)); take csv or a shorter range")
        }
        if Self.prefersAsync(request) || report.format == .pdf && calls > Self.atOnceMax {
            return try await enqueue(report, scope.tenancy, principal.user)
        }
        return report.format == .csv ? streamed(report, figures, scope) : try await whole(report, figures, scope)
    }

    private func streamed(_ report: ReportRequest, _ figures: ReportFigures, _ scope: AnalyticsScope) -> Response {
        let maker = maker
        let response = Response.stream(type: report.format.mediaType) { writer in
            try await maker.make(report, figures, scope) { bytes, _ in try await writer.write(bytes) }
        }
        return response.named(report.fileName)
    }

    private func whole(
        _ report: ReportRequest, _ figures: ReportFigures, _ scope: AnalyticsScope
    ) async throws -> Response {
        var file: [UInt8] = []
        try await maker.make(report, figures, scope) { bytes, _ in file += bytes }
        return Response.bytes(type: report.format.mediaType, file).named(report.fileName)
    }

    private func enqueue(_ report: ReportRequest, _ tenancy: Tenancy, _ user: UserID) async throws -> Response {
        let job = ReportJob(id: JobID(), user: user, tenancy: tenancy, request: report, created: .now())
        guard try await ReportJobStore.add(job, database) else {
            throw Problem(
                .conflict, "\(ReportJobStore.openMax) reports of yours are under way; wait for one of them.")
        }
        jobs.wake()
        var response = Response.json(202, job)
        response.headers.set("Location", job.url)
        return response
    }

    func job(_ request: Request) async throws -> Response { .json(200, try await find(request)) }

    func file(_ request: Request) async throws -> Response {
        let job = try await find(request)
        guard job.status == .completed, let size = job.size else {
            throw Problem(.conflict, "The report is \(job.status.rawValue); its file is there once it is completed.")
        }
        let database = database
        let response = Response.stream(type: job.request.format.mediaType, length: Int(size)) { writer in
            var part = 0
            while let bytes = try await ReportJobStore.part(part, of: job.id, database) {
                try await writer.write(bytes)
                part += 1
            }
        }
        return response.named(job.request.fileName)
    }

    /// Whoever asked for it sees it, for as long as they may see all that is in it.
    private func find(_ request: Request) async throws -> ReportJob {
        let principal = try request.requirePrincipal()
        let id = try request.pathID("job_id", as: JobID.self, or: .jobNotFound)
        guard let job = try await ReportJobStore.find(id, database), job.user == principal.user,
            principal.tenancy(for: .readAnalytics).covers(job.tenancy)
        else { throw Problem.notFound(.jobNotFound) }
        return job
    }

    private static func prefersAsync(_ request: Request) -> Bool {
        (request.headers["Prefer"] ?? "").split(separator: ",").contains { preference in
            preference.split(separator: ";").first?.filter { $0 != " " }.lowercased() == "respond-async"
        }
    }
}

extension Response {
    /// As a file to be saved under that name.
    fileprivate func named(_ name: String) -> Response {
        var response = self
        response.headers.set("Content-Disposition", "attachment; filename=\"\(name)\"")
        return response
    }
}

extension Tenancy {
    fileprivate func covers(_ other: Tenancy) -> Bool {
        switch (self, other) {
        case (.all, _): true
        case (.only, .all): false
        case (.only(let own), .only(let others)): Set(own).isSuperset(of: others)
        }
    }
}
