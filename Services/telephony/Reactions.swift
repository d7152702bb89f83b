import Messaging
import Postgres
import Shared

/// What this program does about what others tell. Runs in the transaction that claims the event.
extension Telephony {
    static let listensTo: [Topic] = [
        .knowledgeConfigs, .billingUsage, .billingSubscriptions, .authUsers, .authWorkspaces, .authBlacklist, .qaScores,
    ]

    func react(to envelope: Envelope, _ tx: borrowing Transaction) async throws {
        // A tombstone only makes room in a compacted topic.
        guard envelope.payload != nil else { return }
        switch envelope.topic {
        case Topic.knowledgeConfigs.rawValue: try await onConfig(try envelope.event(as: ConfigEvent.self), tx)
        case Topic.billingUsage.rawValue: try await onUsage(try envelope.event(as: UsageEvent.self), tx)
        case Topic.billingSubscriptions.rawValue:
            try await onSubscription(try envelope.event(as: SubscriptionEvent.self), tx)
        case Topic.authUsers.rawValue:
            if case .deleted(let id) = try envelope.event(as: UserEvent.self) { try await tx.erase(.user(id)) }
        case Topic.authWorkspaces.rawValue: try await onWorkspace(try envelope.event(as: WorkspaceEvent.self), tx)
        case Topic.authBlacklist.rawValue: try await onBlacklist(try envelope.event(as: BlacklistEvent.self), tx)
        case Topic.qaScores.rawValue: try await onScore(try envelope.event(as: ScoreEvent.self), tx)
        default: break
        }
    }

    func onConfig(_ event: ConfigEvent, _ tx: borrowing Transaction) async throws {
        switch event {
        case .changed(let config):
            guard try await !tx.isErased(.workspace(config.workspaceID)),
                try await ReactionStore.put(config, tx)
            else { return }
            // Whichever replica holds a conversation on it follows from the next turn on.
            for call in try await ReadBusinessUse.liveCalls(of: config.id, in: config.workspaceID, tx) {
                tx.publish(CommandEvent(callID: call, action: .configure))
            }
        case .removed(let id, _): try await ReactionStore.removeConfig(id, tx)
        }
    }

    func onUsage(_ event: UsageEvent, _ tx: borrowing Transaction) async throws {
        switch event {
        // AI agents are counted here, where they are made.
        case .limitReached(_, .agents, _, _), .limitCleared(_, .agents): break
        case .limitReached(let workspace, let limit, let value, let max):
            guard try await !tx.isErased(.workspace(workspace)) else { return }
            try await ReactionStore.reached(limit, of: workspace, value: value, max: max, tx)
        case .limitCleared(let workspace, let limit):
            try await ReactionStore.cleared(limit, of: workspace, tx)
        case .recorded:
            break
        }
    }

    func onSubscription(_ event: SubscriptionEvent, _ tx: borrowing Transaction) async throws {
        switch event {
        case .activated(let subscription), .changed(let subscription): try await ReactionStore.put(subscription, tx)
        // Back to what everyone has.
        case .cancelled(let subscription): try await ReactionStore.removePlan(of: subscription.workspaceID, tx)
        }
    }

    func onWorkspace(_ event: WorkspaceEvent, _ tx: borrowing Transaction) async throws {
        switch event {
        case .created, .updated: break
        case .memberAdded(let member): try await onMember(member, tx)
        case .memberRemoved(let member): try await onMemberGone(member, tx)
        case .deleted(let id): try await tx.erase(.workspace(id))
        }
    }

    /// Somebody taken in as agent becomes a human agent; one that a manager made before is linked by e-mail.
    private func onMember(_ member: MemberSnapshot, _ tx: borrowing Transaction) async throws {
        // Told late of somebody, or some place, that is no more.
        guard try await !tx.isErased(.workspace(member.workspaceID)), try await !tx.isErased(.user(member.userID)),
            let email = EmailAddress(member.email)
        else { return }
        let now = Instant.now()
        let byUser = try await HumanAgentStore.lock(user: member.userID, in: member.workspaceID, tx)
        let known: HumanAgent? =
            if let byUser { byUser } else {
                try await HumanAgentStore.lock(email: email, in: member.workspaceID, tx)
            }
        if var agent = known {
            let before = agent
            agent.user = member.userID
            if member.role == .agent { agent.isActive = true }
            // Who only looks on from now on is given no more calls.
            if member.role == .viewer { (agent.isActive, agent.isAvailable) = (false, false) }
            guard agent != before else { return }
            agent.updatedAt = now
            try await HumanAgentStore.save(&agent, tx)
        } else if member.role == .agent {
            // Not available until they say so: they may be nowhere near a telephone.
            var agent = HumanAgent(
                id: HumanAgentID(), workspace: member.workspaceID, name: member.name, email: email, createdAt: now,
                updatedAt: now)
            agent.user = member.userID
            agent.isAvailable = false
            try await HumanAgentStore.insert(agent, tx)
        }
    }

    private func onMemberGone(_ member: MemberSnapshot, _ tx: borrowing Transaction) async throws {
        guard var agent = try await HumanAgentStore.lock(user: member.userID, in: member.workspaceID, tx) else {
            return
        }
        agent.isActive = false
        agent.isAvailable = false
        agent.updatedAt = .now()
        try await HumanAgentStore.save(&agent, tx)
    }

    func onScore(_ event: ScoreEvent, _ tx: borrowing Transaction) async throws {
        switch event {
        case .sentimentChanged(let ref, let reading): try await onSentiment(ref, reading, tx)
        case .scoreUpdated(_, let score): try await onQAScore(score, tx)
        case .outcomeClassified(let ref, let outcome, _):
            guard var call = try await CallStore.lock(ref.callID, tx), call.outcome == nil else { return }
            call.outcome = outcome
            call.updatedAt = .now()
            CallStore.save(&call, after: [], tx)
        }
    }

    /// The call's mood changed: shown in lists, and perhaps a reason to call for a human.
    private func onSentiment(_ ref: CallRef, _ reading: SentimentReading, _ tx: borrowing Transaction) async throws {
        if let interaction = reading.interactionID, let score = reading.interactionScore {
            ReactionStore.score(interaction, of: ref.callID, score, tx)
        }
        guard var call = try await CallStore.lock(ref.callID, tx) else { return }
        var changed = call.sentiment != reading.label
        call.sentiment = reading.label
        let now = Instant.now()
        if !call.status.isTerminal, call.status != .escalated, call.escalationStatus == nil {
            let config = try await PlaceCallStore.escalationConfig(of: call, tx)
            if config != nil, let fired = Triggers(config).fired(sentiment: reading.score) {
                let reason = HandOver.Reason(trigger: fired.kind.rawValue, details: fired.details, wish: fired.wish)
                _ = try await HandOver.open(&call, for: reason, choosing: .anyone, waits: true, at: now, tx)
                changed = true
            }
        }
        guard changed else { return }
        call.updatedAt = now
        CallStore.save(&call, after: [], tx)
        noticeFree(tx)
    }

    private func onQAScore(_ score: ScoreSnapshot, _ tx: borrowing Transaction) async throws {
        guard try await ReactionStore.claim(score, tx), var call = try await CallStore.lock(score.callID, tx) else {
            return
        }
        var json = JSONWriter()
        score.writeScore(to: &json)
        call.qaScores = try JSON.parse(json.bytes)
        call.qaScore = score.overallScore
        call.sentiment = score.sentimentLabel
        call.updatedAt = .now()
        CallStore.save(&call, after: [], tx)
    }
}
