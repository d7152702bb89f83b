import Passwords
import Postgres
import Shared

/// A person as auth knows them.
struct Account: Sendable, Equatable {
    var id: UserID
    var email: EmailAddress
    var username: String
    var firstName: String
    var lastName: String
    var phone: PhoneNumber?
    var role: Role
    var isStaff: Bool
    var isSuperuser: Bool
    var status: Status
    var isVerified: Bool
    var avatar: String?
    var version: Int64
    var lastLogin: Instant?
    var createdAt: Instant
    var updatedAt: Instant

    enum Status: String, CaseIterable, Sendable, PostgresValue { case active, inactive, suspended }

    var fullName: String {
        let name = "\(firstName) \(lastName)"
        return name == " " ? username : String(name.drop { $0 == " " })
    }

    var snapshot: UserSnapshot {
        UserSnapshot(
            id: id, email: email.text, username: username, firstName: firstName, lastName: lastName, role: role,
            status: status.rawValue, isStaff: isStaff, version: version)
    }
}

extension Account: JSONWritable {
    /// Document 001's user, with 002's and 004's names beside it.
    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("email", email.text)
            json.field("username", username)
            json.field("first_name", firstName)
            json.field("last_name", lastName)
            json.field("full_name", fullName)
            json.field("phone", phone)
            json.field("role", role.rawValue)
            json.field("is_staff", isStaff)
            json.field("is_superuser", isSuperuser)
            json.field("status", status.rawValue)
            json.field("is_active", status == .active)
            json.field("is_verified", isVerified)
            json.field("avatar", avatar)
            json.field("last_login", lastLogin)
            json.field("date_joined", createdAt)
            json.field("created_at", createdAt)
            json.field("updated_at", updatedAt)
        }
    }
}

/// What a new person brings.
struct NewAccount: Sendable {
    var email: EmailAddress
    var username: String?
    var firstName = ""
    var lastName = ""
    var phone: PhoneNumber?
    var role: Role
    var isStaff = false
    var isSuperuser = false
    var isVerified = false
    /// Name of the workspace that is made for them.
    var workspaceName: String
}

/// Length is what makes a password strong; composition rules only make people write it down (NIST SP 800-63B §3.1.1).
enum PasswordRule {
    static let lengthMin = 8
    static let lengthMax = 128

    /// What is wrong with the password; nil when nothing is.
    static func complaint(_ password: String, email: String, username: String?) -> String? {
        let length = password.unicodeScalars.count
        if length < lengthMin { return "must have at least \(lengthMin) characters" }
        if length > lengthMax { return "must have at most \(lengthMax) characters" }
        let lower = password.lowercased()
        if lower == email.lowercased() || lower == username?.lowercased() {
            return "must not be the e-mail address or the user name"
        }
        if Set(password).count < 4 { return "must not be the same few characters over and over" }
        if common.contains(lower) { return "is one of the passwords tried first by everybody" }
        return nil
    }

    /// The head of every list of leaked passwords, of those long enough to get this far.
    private static let common: Set<String> = [
        "password", "password1", "password123", "passw0rd", "12345678", "123456789", "1234567890", "qwertyuiop",
        "qwerty123", "1q2w3e4r", "1qaz2wsx", "iloveyou", "sunshine", "princess", "football", "baseball", "welcome1",
        "trustno1", "superman", "letmein1", "abc12345", "abcd1234", "admin123", "changeme", "starwars", "computer",
    ]
}
