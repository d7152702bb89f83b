import HTTP
import Messaging
import Postgres
import Shared

/// What somebody sends beside the password.
enum SecondFactor: Sendable {
    case code(String)
    case recovery(String)

    /// `otp` or `recovery_code`; nil when neither is there.
    init?(_ form: inout Form) {
        if let code = form.optionalString("otp", max: 20), !code.isEmpty {
            self = .code(code)
        } else if let code = form.optionalString("recovery_code", max: 60), !code.isEmpty {
            self = .recovery(code)
        } else {
            return nil
        }
    }
}

extension Accounts {
    private var factorSeal: Seal { Seal(secret: keys.secret, purpose: "second factors") }

    /// Uses a code up: of any number of uses at once, one counts.
    func spend(_ factor: SecondFactor, _ secret: SecondFactorStore.Secret, of user: UserID) async throws -> Bool {
        switch factor {
        case .code(let code):
            guard let plain = factorSeal.open(secret.sealed),
                let step = OneTimeCode.step(of: code, secret: plain, after: secret.lastStep, now: .now())
            else { return false }
            return try await SecondFactorStore.spend(step: step, of: user, database)
        case .recovery(let code):
            return try await SecondFactorStore.spend(recovery: RecoveryCode.digest(code, of: user), of: user, database)
        }
    }

    /// `GET /api/auth/totp/`.
    func secondFactorState(_ request: Request) async throws -> Response {
        let user = try request.requireLogin().user
        let state = try await SecondFactorStore.state(of: user, database)
        return .json(200) { json in
            json.object { json in
                json.field("enabled", state.confirmedAt != nil)
                json.field("confirmed_at", state.confirmedAt)
                json.field("recovery_codes_left", state.recoveryCodesLeft)
            }
        }
    }

    /// `POST /api/auth/totp/` with `{password}` → the secret for a telephone. It counts once it is confirmed.
    func beginSecondFactor(_ request: Request) async throws -> Response {
        let principal = try request.requireLogin()
        var form = try await request.form()
        let password = form.string("password", max: PasswordRule.lengthMax, trimmed: false)
        try form.finish()
        let account = try await confirm(principal, password).account
        let secret = Digest.randomBytes(20)
        guard try await SecondFactorStore.begin(factorSeal.seal(secret), of: account.id, database) else {
            throw Problem.conflict("You have a second factor; take it away first to set up another one.")
        }
        return .json(201) { json in
            json.object { json in
                json.field("secret", Digest.base32(secret))
                json.field(
                    "otpauth_uri",
                    OneTimeCode.uri(secret: secret, account: account.email.text, issuer: settings.serviceName))
            }
        }
    }

    /// `POST /api/auth/totp/confirm/` with `{otp}` → the recovery codes, this once.
    func confirmSecondFactor(_ request: Request) async throws -> Response {
        let principal = try request.requireLogin()
        var form = try await request.form()
        let code = form.string("otp", max: 20)
        try form.finish()
        guard let pending = try await SecondFactorStore.pending(of: principal.user, database),
            let secret = factorSeal.open(pending.sealed)
        else { throw Problem.conflict("There is nothing to confirm; begin with POST /api/auth/totp/.") }
        let step = try await throttle.watch([.confirmation(principal.user, principal.session)]) {
            OneTimeCode.step(of: code, secret: secret, after: pending.lastStep, now: .now())
        }
        guard let step else { throw Problem.validation("otp", "is not the code your telephone shows now") }
        let codes = (0..<RecoveryCode.count).map { _ in RecoveryCode.make() }
        let actor = try Audit.Actor(request)
        let isFirst = try await database.transaction { tx in
            guard let address = try await SecondFactorStore.confirm(step: step, of: principal.user, tx) else {
                return false
            }
            replaceRecoveryCodes(codes, of: principal.user, tx)
            send(.secondFactor(isOn: true), to: address, of: principal.user, tx)
            Audit.record("sign_in.second_factor_added", .user, principal.user.text, by: actor, tx)
            return true
        }
        guard isFirst else { throw Problem.conflict("It is confirmed already.") }
        return Self.recoveryCodes(codes)
    }

    /// `POST /api/auth/totp/recovery-codes/` with `{password, otp | recovery_code}` → new ones; the old ones are void.
    func renewRecoveryCodes(_ request: Request) async throws -> Response {
        let principal = try request.requireLogin()
        try await confirmWithSecondFactor(request, principal)
        let codes = (0..<RecoveryCode.count).map { _ in RecoveryCode.make() }
        let actor = try Audit.Actor(request)
        try await database.transaction { tx in
            replaceRecoveryCodes(codes, of: principal.user, tx)
            Audit.record("sign_in.recovery_codes_renewed", .user, principal.user.text, by: actor, tx)
        }
        return Self.recoveryCodes(codes)
    }

    /// `DELETE /api/auth/totp/` with `{password, otp | recovery_code}`.
    func endSecondFactor(_ request: Request) async throws -> Response {
        let principal = try request.requireLogin()
        let account = try await confirmWithSecondFactor(request, principal)
        let actor = try Audit.Actor(request)
        try await database.transaction { tx in
            SecondFactorStore.end(of: principal.user, tx)
            send(.secondFactor(isOn: false), to: account.email, of: principal.user, tx)
            Audit.record("sign_in.second_factor_removed", .user, principal.user.text, by: actor, tx)
        }
        return .empty(204)
    }

    @discardableResult
    private func confirmWithSecondFactor(_ request: Request, _ principal: Principal) async throws -> Account {
        var form = try await request.form()
        let password = form.string("password", max: PasswordRule.lengthMax, trimmed: false)
        let factor = SecondFactor(&form)
        if factor == nil { form.fail("otp", "is required, or recovery_code instead") }
        try form.finish()
        let known = try await confirm(principal, password)
        guard let secret = known.secondFactor, let factor else {
            throw Problem.conflict("You have no second factor.")
        }
        let spent = try await throttle.watch([.confirmation(principal.user, principal.session)]) {
            try await spend(factor, secret, of: principal.user) ? true : nil
        }
        guard spent != nil else {
            let field = if case .code = factor { "otp" } else { "recovery_code" }
            throw Problem.validation(field, "is not right, too old, or was used before")
        }
        return known.account
    }

    private func replaceRecoveryCodes(_ codes: [String], of user: UserID, _ tx: borrowing Transaction) {
        SecondFactorStore.replaceRecoveryCodes(codes.map { RecoveryCode.digest($0, of: user) }, of: user, tx)
    }

    private static func recoveryCodes(_ codes: [String]) -> Response {
        .json(200) { json in
            json.object { json in
                json.fieldArray("recovery_codes") { json in for code in codes { json.value(code) } }
            }
        }
    }
}
