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
            return consumer(program, try scoring(settings, hasJudge: judge(settings) != nil))
        }
        Service.main("qa-analytics", commands: commands.merging(["sentiment": scoreLines]) { $1 }) { settings in
            let program = Program(settings, "qa-analytics", port: 8104)
            let judge = judge(settings)
            let scoring = try scoring(settings, hasJudge: judge != nil)
            let tokens = program.tokens(settings)
            let reports = ReportJobs(program.database, log: program.log)
            let atOnce = settings.int("QA_JUDGE_AT_ONCE", default: Judging.Pace().atOnce, in: 1...64)
            try settings.check()
            let judging = judge.map {
                Judging(program.database, $0, log: program.log, pace: Judging.Pace(atOnce: atOnce))
            }
            return [
                program.storage,
                program.relay(),
                consumer(program, scoring),
                program.erasing(ErasureStore.steps),
                tokens,
                reports,
            ] + (judging.map { [$0] } ?? []) + [
                program.server(
                    program.router(
                        Routes.list(program.database, reports) + Export.routes(ReadExport.sections(program.database)),
                        tokens: tokens))
            ]
        }
    }

    private static func consumer(_ program: Program, _ scoring: ScoreCalls) -> Consumer {
        program.consumer([.telephonyCalls, .knowledgeConfigs, .authUsers, .authWorkspaces]) { envelope, tx in
            // A tombstone only makes room in a compacted topic.
            guard envelope.payload != nil else { return }
            switch Topic(rawValue: envelope.topic) {
            case .telephonyCalls: try await scoring.onCall(try envelope.event(as: CallEvent.self), tx)
            case .knowledgeConfigs:
                try await QualityConfigStore.onConfig(try envelope.event(as: ConfigEvent.self), tx)
            case .authWorkspaces:
                if case .deleted(let id) = try envelope.event(as: WorkspaceEvent.self) {
                    try await tx.erase(.workspace(id))
                }
            case .authUsers: try await QualityConfigStore.onUser(try envelope.event(as: UserEvent.self), tx)
            default: return
            }
        }
    }

    private static func scoring(_ settings: Settings, hasJudge: Bool) throws -> ScoreCalls {
        ScoreCalls(
            sentiment: Sentiment(lexicon: try lexicon(settings)), judgeAfter: hasJudge ? .seconds(2) : nil)
    }

    /// A model where one is named; the rubric alone else.
    private static func judge(_ settings: Settings) -> Judge? {
        let url = settings.optionalURL("QA_JUDGE_URL") ?? settings.optionalURL("HOMEAI_API_URL")
        let key = settings.optional("QA_JUDGE_API_KEY") ?? settings.optional("HOMEAI_API_KEY") ?? ""
        let within = settings.duration("QA_JUDGE_WITHIN", default: .seconds(30))
        guard let model = settings.optional("QA_JUDGE_MODEL") else { return nil }
        guard let url else {
            // Asked for by name, so that the complaint has one.
            _ = settings.url("QA_JUDGE_URL")
            return nil
        }
        return Judge(account: .init(url: url, key: key, model: model), client: Client(), within: within)
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
