extension Problem {
    /// Every code a client can ever see, with the status it has unless the thrower says otherwise.
    public enum Code: String, CaseIterable, Sendable {
        case unauthorized = "UNAUTHORIZED"
        /// The password was right; a one-time code is wanted as well.
        case secondFactorRequired = "SECOND_FACTOR_REQUIRED"
        case emailNotVerified = "EMAIL_NOT_VERIFIED"
        case forbidden = "FORBIDDEN"
        /// The right credentials of an account that may not be used: inactive, suspended, or on the blacklist.
        case accountInactive = "ACCOUNT_INACTIVE"
        case accountSuspended = "ACCOUNT_SUSPENDED"
        case accountBlocked = "ACCOUNT_BLOCKED"
        case callNotFound = "CALL_NOT_FOUND"
        case agentNotFound = "AGENT_NOT_FOUND"
        case configNotFound = "CONFIG_NOT_FOUND"
        case entryNotFound = "ENTRY_NOT_FOUND"
        case escalationNotFound = "ESCALATION_NOT_FOUND"
        case phoneNumberNotFound = "PHONE_NUMBER_NOT_FOUND"
        case userNotFound = "USER_NOT_FOUND"
        case workspaceNotFound = "WORKSPACE_NOT_FOUND"
        case leadNotFound = "LEAD_NOT_FOUND"
        case callbackNotFound = "CALLBACK_NOT_FOUND"
        case planNotFound = "PLAN_NOT_FOUND"
        case subscriptionNotFound = "SUBSCRIPTION_NOT_FOUND"
        case sessionNotFound = "SESSION_NOT_FOUND"
        case keyNotFound = "API_KEY_NOT_FOUND"
        case invitationNotFound = "INVITATION_NOT_FOUND"
        case entryOfBlacklistNotFound = "BLACKLIST_ENTRY_NOT_FOUND"
        case memberNotFound = "MEMBER_NOT_FOUND"
        case jobNotFound = "JOB_NOT_FOUND"
        case notFound = "NOT_FOUND"
        case routeNotFound = "ROUTE_NOT_FOUND"
        case methodNotAllowed = "METHOD_NOT_ALLOWED"
        case validationError = "VALIDATION_ERROR"
        case badRequest = "BAD_REQUEST"
        /// The call is over: nobody is there any more whom an order could reach. 400, as document 003 §1.5 and §1.6 have it.
        case callEnded = "CALL_ENDED"
        /// Nobody is free to take an escalation; document 003 §1.5 answers that with 400.
        case noAgentAvailable = "NO_AGENT_AVAILABLE"
        /// Still needed by something else; document 003 §4.4 and §6.4 answer that with 400.
        case inUse = "IN_USE"
        case conflict = "CONFLICT"
        case idempotencyMismatch = "IDEMPOTENCY_MISMATCH"
        case paymentRequired = "PAYMENT_REQUIRED"
        case payloadTooLarge = "PAYLOAD_TOO_LARGE"
        case unsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE"
        case notAcceptable = "NOT_ACCEPTABLE"
        case preconditionFailed = "PRECONDITION_FAILED"
        case gone = "GONE"
        case requestTimeout = "REQUEST_TIMEOUT"
        case targetTooLong = "TARGET_TOO_LONG"
        case headersTooLarge = "HEADERS_TOO_LARGE"
        case upgradeRequired = "UPGRADE_REQUIRED"
        case rateLimited = "RATE_LIMITED"
        case internalError = "INTERNAL_ERROR"
        case notImplemented = "NOT_IMPLEMENTED"
        case upstreamUnavailable = "UPSTREAM_UNAVAILABLE"
        case serviceUnavailable = "SERVICE_UNAVAILABLE"
        case deadlineExceeded = "DEADLINE_EXCEEDED"

        public var status: Int {
            switch self {
            case .validationError, .badRequest, .callEnded, .noAgentAvailable, .inUse: 400
            case .unauthorized, .secondFactorRequired: 401
            case .paymentRequired: 402
            case .forbidden, .emailNotVerified, .accountInactive, .accountSuspended, .accountBlocked: 403
            case .callNotFound, .agentNotFound, .configNotFound, .entryNotFound, .escalationNotFound,
                .phoneNumberNotFound, .userNotFound, .workspaceNotFound, .leadNotFound, .callbackNotFound,
                .planNotFound, .subscriptionNotFound, .sessionNotFound, .keyNotFound, .invitationNotFound,
                .entryOfBlacklistNotFound, .memberNotFound, .jobNotFound, .notFound, .routeNotFound:
                404
            case .methodNotAllowed: 405
            case .notAcceptable: 406
            case .requestTimeout: 408
            case .conflict: 409
            case .gone: 410
            case .preconditionFailed: 412
            case .payloadTooLarge: 413
            case .targetTooLong: 414
            case .unsupportedMediaType: 415
            case .idempotencyMismatch: 422
            case .upgradeRequired: 426
            case .rateLimited: 429
            case .headersTooLarge: 431
            case .internalError: 500
            case .notImplemented: 501
            case .upstreamUnavailable: 502
            case .serviceUnavailable: 503
            case .deadlineExceeded: 504
            }
        }

        /// The classic family's `error`, and the message when the thrower has nothing better to say.
        public var title: String {
            switch self {
            case .unauthorized: "Authentication required"
            case .secondFactorRequired: "Second factor required"
            case .emailNotVerified: "E-mail address not verified"
            case .forbidden: "Permission denied"
            case .accountInactive: "Account inactive"
            case .accountSuspended: "Account suspended"
            case .accountBlocked: "Account blocked"
            case .callNotFound: "Call not found"
            case .agentNotFound: "Agent not found"
            case .configNotFound: "Business configuration not found"
            case .entryNotFound: "Knowledge entry not found"
            case .escalationNotFound: "Escalation not found"
            case .phoneNumberNotFound: "Phone number not found"
            case .userNotFound: "User not found"
            case .workspaceNotFound: "Workspace not found"
            case .leadNotFound: "Lead not found"
            case .callbackNotFound: "Callback not found"
            case .planNotFound: "Plan not found"
            case .subscriptionNotFound: "Subscription not found"
            case .sessionNotFound: "Session not found"
            case .keyNotFound: "API key not found"
            case .invitationNotFound: "Invitation not found"
            case .entryOfBlacklistNotFound: "Blacklist entry not found"
            case .memberNotFound: "Member not found"
            case .jobNotFound: "Job not found"
            case .notFound: "Not found"
            case .routeNotFound: "No such route"
            case .methodNotAllowed: "Method not allowed"
            case .validationError: "Invalid data"
            case .badRequest: "Bad request"
            case .callEnded: "Call ended"
            case .noAgentAvailable: "No agent available"
            case .inUse: "Still in use"
            case .conflict: "Conflict"
            case .idempotencyMismatch: "Idempotency key reused"
            case .paymentRequired: "Plan limit reached"
            case .payloadTooLarge: "Body too large"
            case .unsupportedMediaType: "Unsupported media type"
            case .notAcceptable: "Not acceptable"
            case .preconditionFailed: "Precondition failed"
            case .gone: "Gone"
            case .requestTimeout: "Request timeout"
            case .targetTooLong: "Address too long"
            case .headersTooLarge: "Headers too large"
            case .upgradeRequired: "Upgrade required"
            case .rateLimited: "Too many requests"
            case .internalError: "Internal error"
            case .notImplemented: "Not implemented"
            case .upstreamUnavailable: "Upstream unavailable"
            case .serviceUnavailable: "Service unavailable"
            case .deadlineExceeded: "Deadline exceeded"
            }
        }
    }
}
