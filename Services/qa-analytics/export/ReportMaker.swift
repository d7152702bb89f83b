import Postgres
import Reports
import Runtime
import Shared

/// Makes a report's file piece by piece: for an answer that is streamed and for a job alike. Lines and pages are written
/// on threads of their own, so no request waits for a report, and nothing is held but a page of calls.
struct ReportMaker: Sendable {
    let database: Database
    /// Drawing is single-threaded work of seconds; two reports at a time leave the loops their cores.
    private let pool = Blocking(threads: 2, queueMax: 256)

    /// Calls fetched at a time: enough that a round trip does not count, and less than a megabyte of lines.
    private static let pageMax = 2000

    init(_ database: Database) { self.database = database }

    /// - Parameters:
    ///   - figures: read before, so that a bad request is refused while it still can be.
    ///   - sink: takes each piece; when it waits, so does the report. With it goes how much is done, 0 … 1.
    func make(
        _ request: ReportRequest, _ figures: ReportFigures, _ scope: AnalyticsScope,
        _ sink: ([UInt8], Double) async throws -> Void
    ) async throws {
        switch request.format {
        case .csv: try await makeCSV(request, figures, scope, sink)
        case .pdf: try await makePDF(request, figures, scope, sink)
        }
    }

    private func makeCSV(
        _ request: ReportRequest, _ figures: ReportFigures, _ scope: AnalyticsScope,
        _ sink: ([UInt8], Double) async throws -> Void
    ) async throws {
        let type = request.type
        try await sink(try await pool.run { CSVReport.beginning(request, figures) }, 0)
        try await eachPage(request, figures, scope) { rows, done in
            try await sink(try await pool.run { try CSVReport.lines(rows, type) }, done)
        }
    }

    private func makePDF(
        _ request: ReportRequest, _ figures: ReportFigures, _ scope: AnalyticsScope,
        _ sink: ([UInt8], Double) async throws -> Void
    ) async throws {
        let document = try await pool.run { try PDFReport.beginning(request, figures) }
        try await eachPage(request, figures, scope) { rows, done in
            let bytes = try await pool.run {
                try PDFReport.add(rows, to: document)
                return document.take()
            }
            try await sink(bytes, done)
        }
        let bytes = try await pool.run {
            if request.type.has(.calls) { document.endTable() }
            try document.finish()
            return document.take()
        }
        try await sink(bytes, 1)
    }

    /// The next page is on its way while the last one is written.
    private func eachPage(
        _ request: ReportRequest, _ figures: ReportFigures, _ scope: AnalyticsScope,
        _ body: (Rows, Double) async throws -> Void
    ) async throws {
        guard request.type.has(.calls) else { return }
        let total = Double(max(1, figures.overview.total))
        let first = CallPages(scope, from: figures.overview.low, to: figures.overview.high, database)
        var (pages, rows) = try await Self.next(first)
        var done = 0
        while let page = rows {
            let here = pages
            async let following = Self.next(here)
            done += page.count
            try await body(page, min(1, Double(done) / total))
            (pages, rows) = try await following
        }
    }

    private static func next(_ pages: CallPages) async throws -> (CallPages, Rows?) {
        var pages = pages
        let rows = try await pages.next(max: pageMax)
        return (pages, rows)
    }
}
