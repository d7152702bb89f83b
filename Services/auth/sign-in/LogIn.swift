import HTTP
import Messaging
import Passwords
import Postgres
import Shared

extension Accounts {
    /// `POST /api/auth/login/` with `{email | username, password, otp | recovery_code}`.
    ///
    /// An unknown person and a wrong password answer the same words after the same work, so nobody learns who has an
    /// account. What else is missing, or that the account is closed, is said only to who knows the password.
    func logIn(_ request: Request) async throws -> Response {
        var form = try await request.form()
        let login = form.optionalString("email", max: 320) ?? form.string("username", max: 320)
        let password = form.string("password", max: PasswordRule.lengthMax, trimmed: false)
        let factor = SecondFactor(&form)
        let cancelsDeletion = form.optionalBool("cancel_deletion", default: false)
        try form.finish()
        let client = ClientInfo(request)
        let known = try await authenticate(login, password, factor, from: client)
        let canceller = cancelsDeletion ? Audit.Actor(known.account, client, request: request.id) : nil
        let (account, opened) = try await database.transaction { tx in
            let held = try await hold(known, canceller: canceller, tx)
            return (held.account, openSession(for: held, from: client, tx))
        }
        return .json(200, try await answer(account, opened))
    }

    /// The person as they are now: checking a password takes a while, in which an account may be closed, its role or its
    /// password changed, and its sessions ended, with this one not yet among them.
    /// - Parameter canceller: who takes back that the account is to be deleted.
    /// - Throws: 401 when the password is another one by now, 403 for an account that may not be used.
    func hold(
        _ known: AccountStore.Credentials, canceller: Audit.Actor? = nil, _ tx: borrowing Transaction
    ) async throws -> AccountStore.Held {
        guard let held = try await AccountStore.hold(known.account.id, known.password, tx) else {
            throw Self.noSuchAccount
        }
        try Self.requireGoodStanding(held)
        if settings.requireVerification, !held.account.isVerified {
            throw Problem(
                .emailNotVerified,
                "Confirm your e-mail address first: follow the link in our mail, or ask for another one.")
        }
        try await settleDeletion(of: held, canceller: canceller, tx)
        return held
    }

    private static var noSuchAccount: Problem { .unauthorized("No active account with these credentials.") }

    /// The person with this login, password and, if they have one, second factor. Whether they may use their account is
    /// for ``hold(_:canceller:_:)`` to say.
    /// - Throws: 401 for anyone else, 429 for who has failed too often.
    func authenticate(
        _ login: String, _ password: String, _ factor: SecondFactor?, from client: ClientInfo
    ) async throws -> AccountStore.Credentials {
        let known = try await AccountStore.credentials(login, from: client, database)
        var refusal = Self.noSuchAccount
        let proven = try await throttle.watch(throttled(login, known, client)) { () -> AccountStore.Credentials? in
            let matches = try await passwords.matches(password, known?.password)
            guard matches, let known else { return nil }
            guard let secret = known.secondFactor else { return known }
            // The password was right, so this is no guess, but it is no log-in either.
            guard let factor else { throw Problem.secondFactorRequired("Send the code of your second factor as well.") }
            if try await isGood(factor, secret, known) { return known }
            refusal = .secondFactorRequired("This code is not right, too old, or was used before.")
            return nil
        }
        guard let proven else { throw refusal }
        return proven
    }

    /// A device that is known has a counter of its own; everybody else shares that of their address.
    private func throttled(
        _ login: String, _ known: AccountStore.Credentials?, _ client: ClientInfo
    ) -> [Throttle.Key] {
        let name = known?.account.id.text ?? login.lowercased()
        if known?.isKnownDevice == true { return [client.device(of: name)] }
        return [.account(name, address: client.address), .address(client.address)]
    }

    /// Guessing codes from many addresses fills the account's counter; known devices are not held up by it.
    private func isGood(
        _ factor: SecondFactor, _ secret: SecondFactorStore.Secret, _ known: AccountStore.Credentials
    ) async throws -> Bool {
        let user = known.account.id
        return try await throttle.watch(known.isKnownDevice ? [] : [.secondFactor(user)]) {
            try await spend(factor, secret, of: user) ? true : nil
        } ?? false
    }
}

extension Problem {
    /// 401 with what may be sent.
    static func secondFactorRequired(_ message: String) -> Problem {
        var problem = Problem(
            .secondFactorRequired, message, details: ["second_factor": ["otp", "recovery_code"]])
        problem.headers = [("WWW-Authenticate", "Bearer")]
        return problem
    }
}
