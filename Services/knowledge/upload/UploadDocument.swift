import Documents
import HTTP
import Messaging
import Postgres
import Runtime
import Shared

extension Knowledge {
    /// `POST /api/v1/knowledge/upload` — the file is looked at before anything is stored: what cannot be read is refused with
    /// the reason and leaves nothing. What can be is stored with its entry and processed after the answer (`Processing`).
    func uploadDocument(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        let upload = try await Upload(request, fileMax: policy.uploadMax)
        let workspace = try await workspace(of: upload.business, named: upload.workspace, principal)
        let seen = try await look(upload)
        let title = upload.title ?? seen.title.flatMap(Self.usable) ?? Self.title(ofFile: upload.name)
        let entry = NewEntry(
            workspaceID: workspace, businessID: upload.business, title: title, content: "", source: upload.name,
            sourceType: seen.kind.rawValue,
            metadata: ["file_name": .string(upload.name), "file_size": .int(upload.file.count)])
        let stored: Entry
        do {
            stored = try await database.transaction { (tx: borrowing Transaction) -> Entry in
                let stored = try await EntryStore.insert(entry, status: .processing, tx)
                UploadStore.keep(upload.file, name: upload.name, for: stored.about.id, tx)
                tx.publish(EntryEvent.added(stored.about))
                let processing = processing
                tx.onCommit { processing.fire() }
                return stored
            }
        } catch let error as PostgresError where error.isForeignKeyViolation("entries_business") {
            throw Self.foreignBusiness
        }
        return .json(202) { json in
            json.object { json in
                json.field("entry", stored)
                json.field("message", "The document has been accepted and is being processed.")
                json.field("processing_status", stored.about.status.processing)
            }
        }
    }

    private func look(_ upload: Upload) async throws -> Document {
        do {
            return try await parser.parse(upload.file, upload.name, Parser.pagesChecked)
        } catch let error as Unreadable {
            throw Problem.validation("file", error.reason)
        } catch is Blocking.Full {
            throw Problem.unavailable("Too many documents are being read; try again in a moment.")
        }
    }

    private static func usable(_ title: String) -> String? {
        title.isEmpty || title.count > Entry.titleMax ? nil : title
    }

    /// `Returns 2026.pdf` → `Returns 2026`
    private static func title(ofFile name: String) -> String {
        let stem = name.lastIndex(of: ".").map { name[..<$0] } ?? name[...]
        return String((stem.isEmpty ? name[...] : stem).prefix(Entry.titleMax))
    }
}

/// The parts of the body.
private struct Upload {
    var file: [UInt8] = []
    var name = ""
    var business: BusinessID?
    var workspace: WorkspaceID?
    var title: String?

    /// Room for the other fields and the boundaries.
    private static let restMax = 64 << 10
    private static let nameMax = 255

    init(_ request: Request, fileMax: Int) async throws {
        var fields = JSONObject()
        var found = false
        let parts = try request.multipart(MultipartLimits(partMax: fileMax, totalMax: fileMax + Self.restMax))
        while let part = try await parts.next() {
            switch part.name {
            case "file":
                found = true
                file = try await part.bytes()
                name = Self.plain(part.head.filename ?? "")
            case "business_id", "workspace_id", "title": fields[part.name] = .string(try await part.text())
            default: continue
            }
        }
        var form = Form(fields.dropping { $0 == .string("") })
        business = form.optionalID("business_id", as: BusinessID.self)
        workspace = form.optionalID("workspace_id", as: WorkspaceID.self)
        title = form.optionalString("title", min: 1, max: Entry.titleMax)
        if !found { form.fail("file", "is required") } else if file.isEmpty { form.fail("file", "is empty") }
        try form.finish()
        if name.isEmpty { name = "document" }
    }

    /// Without folders and what a terminal or a page might act on.
    private static func plain(_ name: String) -> String {
        let last = name.split { $0 == "/" || $0 == "\\" }.last ?? ""
        let kept = last.unicodeScalars.filter {
            !$0.properties.isDefaultIgnorableCodePoint && $0.value >= 0x20 && $0 != "\u{7F}"
        }
        return String(String(String.UnicodeScalarView(kept)).prefix(nameMax))
    }
}

extension JSONObject {
    fileprivate func dropping(_ isDropped: (JSON) -> Bool) -> JSONObject {
        var kept = JSONObject()
        for (name, value) in pairs where !isDropped(value) { kept[name] = value }
        return kept
    }
}
