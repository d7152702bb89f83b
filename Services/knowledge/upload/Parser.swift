import Documents
import Runtime
import Shared

/// Reads documents in a process of its own. A closure, so that tests need none.
struct Parser: Sendable {
    /// - Parameter pages: stop after so many of a PDF; nil reads all.
    /// - Throws: ``Unreadable``; ``Blocking/Full`` when too many files wait already.
    var parse: @Sendable (_ file: [UInt8], _ name: String, _ pages: Int?) async throws -> Document

    /// Enough to tell whether a PDF can be read, while its sender waits.
    static let pagesChecked = 10
    private static let timeMax: Duration = .seconds(45)
    /// Of JSON: text of the most characters, each of the most bytes, and what stands around it.
    private static let outputMax = 32 << 20

    /// Each at once may take the memory `ParseCommand` allows itself.
    static func separate(atOnce: Int) -> Parser {
        let worker = Worker(
            command: ParseCommand.name, pool: Blocking(threads: atOnce, queueMax: 16), timeMax: timeMax,
            outputMax: outputMax)
        return Parser { file, name, pages in
            do {
                return try ParseCommand.read(try await worker.run(ParseCommand.input(file, name: name, pages: pages)))
            } catch let failure as Worker.Failure {
                throw unreadable(failure)
            }
        }
    }

    /// What a file does to the process that reads it is the file's fault; a process that cannot be started is ours.
    private static func unreadable(_ failure: Worker.Failure) -> any Error {
        switch failure {
        case .notStarted: failure
        case .ended: Unreadable("is broken, or takes more memory than a document may")
        case .timeout: Unreadable("takes longer to read than a document may")
        case .tooMuchOutput: Unreadable("holds more text than a document may")
        }
    }
}
