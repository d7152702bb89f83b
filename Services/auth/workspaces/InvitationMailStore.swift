import Messaging
import Postgres
import Shared

/// The one place that sends an invitation: into the outbox of mails, in the transaction that makes it.
enum Invitations {
    static func mail(
        _ invitation: Invitation, token: String, from inviter: String, publicURL: String, _ tx: borrowing Transaction
    ) {
        let body = """
            \(inviter) invites you to the workspace "\(invitation.workspaceName)" as \(invitation.role.rawValue).

            To accept, log in (or register) with this e-mail address and send this token to
            \(publicURL)/api/workspaces/invitations/accept/ :

            \(token)

            It works once, until \(invitation.expiresAt.iso). If you do not know why you were invited, do nothing.
            """
        let subject = "Invitation to \(invitation.workspaceName)"
        tx.enqueue(
            """
            INSERT INTO mails (recipient, subject, body) VALUES (\(invitation.email.text), \(subject), \(body))
            """)
    }
}
