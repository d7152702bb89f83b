import Glibc
import HTTP
import Messaging
import Postgres
import Program
import Runtime
import Shared

/// How calls feel, how well they were handled, and what the figures say.
@main
enum QAAnalyticsService {
    static func main() {
        let commands = Program.commands("qa-analytics") { settings, _ in
            let program = Program(settings, "qa-analytics", port: 8104)
            return consumer(program, ScoreCalls(sentiment: Sentiment(lexicon: try lexicon(settings))))
        }
        Service.main("qa-analytics", commands: commands.merging(["sentiment": scoreLines]) { $1 }) { settings in
            let program = Program(settings, "qa-analytics", port: 8104)
            let scoring = ScoreCalls(sentiment: Sentiment(lexicon: try lexicon(settings)))
            let tokens = program.tokens(settings)
            let reports = ReportJobs(program.database, log: program.log)
            try settings.check()
            return [
                program.storage,
                program.relay(),
                consumer(program, scoring),
                program.erasing(ErasureStore.steps),
                tokens,
                reports,
                program.server(
                    program.router(
                        Routes.list(program.database, reports) + Export.routes(ReadExport.sections(program.database)),
                        tokens: tokens)),
            ]
        }
    }

    private static func consumer(_ program: Program, _ scoring: ScoreCalls) -> Consumer {
        program.consumer([.telephonyCalls, .authUsers, .authWorkspaces]) { envelope, tx in
            switch Topic(rawValue: envelope.topic) {
            case .telephonyCalls: try await scoring.onCall(try envelope.event(as: CallEvent.self), tx)
            case .authWorkspaces:
                if case .deleted(let id) = try envelope.event(as: WorkspaceEvent.self) {
                    try await tx.erase(.workspace(id))
                }
            case .authUsers:
                if case .deleted(let id) = try envelope.event(as: UserEvent.self) { try await tx.erase(.user(id)) }
            default: return
            }
        }
    }

    /// The lexicon is data of the `vaderSentiment` package, unpacked when the platform is set up.
    private static func lexicon(_ settings: Settings) throws -> Lexicon {
        let path = settings.string("SENTIMENT_LEXICON", default: ".local/share/sentiment/vader_lexicon.txt")
        guard let text = Files.read(path) else { throw NoLexicon(path: path) }
        return try Lexicon(text: text)
    }

    struct NoLexicon: Error, CustomStringConvertible {
        let path: String
        var description: String {
            "the sentiment lexicon \(path) cannot be read; `make setup` unpacks it, or set SENTIMENT_LEXICON"
        }
    }

    /// `qa-analytics sentiment < lines`: one score a line, −1 … 1.
    private static let scoreLines: Service.Command = { _, settings in
        let sentiment = Sentiment(lexicon: try lexicon(settings))
        while let line = readLine() { Program.say("\(sentiment.score(line))") }
    }
}

/// Whole small files.
enum Files {
    static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { return ferror(file) == 0 ? bytes : nil }
            bytes += chunk[..<count]
        }
    }
}
