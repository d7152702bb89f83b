import HTTP
import Messaging
import Pictures
import Postgres
import Runtime
import Shared

extension Personal {
    /// `POST /api/dashboard/user/avatar/`, multipart with the picture in `avatar`.
    func uploadAvatar(_ request: Request) async throws -> Response {
        let user = try request.requirePrincipal().user
        let file = try await Self.file(request)
        let squares = try await self.squares(of: file)
        // Of what is in it and of whose it is: never guessed, never another picture, and the same one again is no change.
        let digest = Digest.hex(Digest.sha256(Array(user.text.utf8) + squares.flatMap(\.webp))).prefix(40)
        let made = squares.map { Avatar(name: "\(digest)-\($0.side).webp", side: $0.side, webp: $0.webp) }
        guard let largest = made.first else { throw Problem(.internalError) }
        try await database.transaction { (tx: borrowing Transaction) in
            guard let account = try await AvatarStore.replace(by: made, shown: Avatar.path + largest.name, of: user, tx)
            else { throw Problem.notFound(.userNotFound) }
            tx.publish(UserEvent.updated(account.snapshot))
        }
        return .json(200) { json in
            json.object { json in
                json.field("avatar", Avatar.path + largest.name)
                json.fieldObject("sizes") { json in
                    for one in made { json.field("\(one.side)", Avatar.path + one.name) }
                }
            }
        }
    }

    /// `DELETE /api/dashboard/user/avatar/`
    func removeAvatar(_ request: Request) async throws -> Response {
        let user = try request.requirePrincipal().user
        try await database.transaction { (tx: borrowing Transaction) in
            guard let account = try await AvatarStore.replace(by: [], shown: nil, of: user, tx) else {
                throw Problem.notFound(.userNotFound)
            }
            tx.publish(UserEvent.updated(account.snapshot))
        }
        return .empty()
    }

    /// `GET /media/avatars/{file}`: for everybody who was given the address.
    func readAvatar(_ request: Request) async throws -> Response {
        guard let webp = try await AvatarStore.find(request.parameter("file"), database) else {
            throw Problem.notFound()
        }
        var response = Response.bytes(type: "image/webp", webp)
        // The name changes with the picture.
        response.headers.set("Cache-Control", "public, max-age=31536000, immutable")
        response.headers.set("Content-Security-Policy", "default-src 'none'")
        response.headers.set("Cross-Origin-Resource-Policy", "cross-origin")
        return response.conditional(request, etag: .strong(request.parameter("file")))
    }

    private static func file(_ request: Request) async throws -> [UInt8] {
        let parts = try request.multipart(
            MultipartLimits(partMax: Pictures.bytesMax, totalMax: Pictures.bytesMax + 64 * 1024))
        while let part = try await parts.next() {
            if part.name == "avatar" { return try await part.bytes() }
        }
        throw Problem.validation("avatar", "is missing: send the picture as a file of this name")
    }

    private func squares(of file: [UInt8]) async throws -> [(side: Int, webp: [UInt8])] {
        do {
            return try await pictures.squares(of: file)
        } catch let refusal as Pictures.Refusal {
            throw Problem.validation("avatar", Self.words(refusal))
        } catch is Blocking.Full {
            throw Problem.unavailable("Many pictures are being worked on; try again in a moment.")
        }
    }

    private static func words(_ refusal: Pictures.Refusal) -> String {
        switch refusal {
        case .unknownFormat: "must be a PNG, JPEG or WebP picture"
        case .animated: "must be a still picture, not an animation"
        case .tooManyPixels: "may have \(Pictures.pixelsMax / 1_000_000) megapixels at most; make it smaller first"
        case .damaged: "cannot be read: the file is damaged or incomplete"
        }
    }
}

/// One square of somebody's picture.
struct Avatar: Sendable {
    static let path = "/media/avatars/"

    var name: String
    var side: Int
    var webp: [UInt8]
}
