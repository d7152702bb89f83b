/// What an `ID` can identify. The cases have no values: they only tell ids apart at compile time.
public enum Kind {
    public enum Call {}
    public enum User {}
    public enum Workspace {}
    public enum Session {}
    public enum APIKey {}
    /// An AI agent: the one that speaks.
    public enum Agent {}
    /// A person calls are escalated to.
    public enum HumanAgent {}
    public enum PhoneNumber {}
    /// A business configuration (document 003 §4).
    public enum Business {}
    public enum Event {}
    public enum Plan {}
    public enum Subscription {}
    public enum Lead {}
    public enum Callback {}
    public enum Invitation {}
    /// An entry of the blacklist.
    public enum Blacklist {}
    /// A line of the audit trail.
    public enum Audit {}
    public enum Job {}
}

public typealias CallID = ID<Kind.Call>
public typealias UserID = ID<Kind.User>
public typealias WorkspaceID = ID<Kind.Workspace>
public typealias SessionID = ID<Kind.Session>
public typealias APIKeyID = ID<Kind.APIKey>
public typealias AgentID = ID<Kind.Agent>
public typealias HumanAgentID = ID<Kind.HumanAgent>
public typealias PhoneNumberID = ID<Kind.PhoneNumber>
public typealias BusinessID = ID<Kind.Business>
public typealias EventID = ID<Kind.Event>
public typealias PlanID = ID<Kind.Plan>
public typealias SubscriptionID = ID<Kind.Subscription>
public typealias LeadID = ID<Kind.Lead>
public typealias CallbackID = ID<Kind.Callback>
public typealias InvitationID = ID<Kind.Invitation>
public typealias BlacklistID = ID<Kind.Blacklist>
public typealias AuditID = ID<Kind.Audit>
public typealias JobID = ID<Kind.Job>
