import Shared

/// What a browser may say on `/ws/calls`, each as `{"event": …, "data": …}`.
enum SocketRequest: String, CaseIterable {
    case subscribe, unsubscribe, resume, ping

    /// Of `data`.
    var schema: Schema {
        switch self {
        case .subscribe:
            .object(
                SocketAnswer.subscription + [
                    .optional(
                        "after", .string,
                        "The id of the last frame you saw: what you missed comes first, as after `resume`, and nothing is live before it."
                    )
                ])
        case .unsubscribe: .object(SocketAnswer.subscription)
        case .resume: .object(.required("after", .string, "The id of the last frame you saw. Subscribe first."))
        case .ping: .anyObject.described("Comes back as it is.")
        }
    }
}

/// What we answer. Unlike frames these have no id: a resumption does not repeat them.
enum SocketAnswer: String, CaseIterable {
    case subscribed, unsubscribed, resumed, resync, pong, error

    var schema: Schema {
        switch self {
        case .subscribed, .unsubscribed: .object(Self.subscription)
        case .resumed: .object(.required("through", .string, "Frames up to this id have been sent."))
        case .resync: .object(.required("reason", .string, "Too much was missed: load the list anew."))
        case .pong: .anyObject
        case .error:
            .object(
                .required("code", .string), .required("message", .string), .optional("details", .anyObject))
        }
    }

    static let subscription: [Field] = [
        .required("type", .string(enum: ["all_calls", "call"])), .optional("call_id", .uuid, "With `call`."),
    ]
}
