namespace Nubabel.Api.Host;

public static partial class ProblemCodes
{
    /// <summary>What decisions and value types refuse, slice by slice.</summary>
    private static ProblemCode[] Slices =>
    [
        new("device.missing", 404, "No such device", "The device does not exist for this caller."),
        new("device.exists", 409, "Device exists", "Another device has the id."),
        new("device.revoked", 409, "Device revoked", "The device is revoked and stays so; register a new one."),
        new("device.owner_required", 403, "Owner required", "A device is registered by the user who owns it, not by a key or an operator."),
        new("device.name_taken", 409, "Device name taken", "Another device of the same user has this name, upper and lower case being equal."),
        new("device.name_invalid", 422, "Device name refused", "The name is not 1 to 50 characters and at most 200 bytes, or holds control characters."),
        new("device.type_invalid", 422, "Device type refused", "The type is not `mobile`, `desktop` or `web`."),
        new("device.status_invalid", 422, "Device status refused", "The status is none that a device has."),
        new("device.public_key_invalid", 422, "Public key refused", "The key is not 1 to 2,048 printable ASCII characters."),
        new("email.invalid", 422, "E-mail address refused", "The text is not an e-mail address."),
        new("name.invalid", 422, "Name refused", "The name is not 1 to 200 characters, or holds control characters."),
        new("reason.invalid", 422, "Reason refused", "The reason is empty, too long or holds control characters."),
        new("operator.exists", 409, "Operator exists", "Another operator has the id."),
        new("operator.email_taken", 409, "E-mail address taken", "Another operator has this e-mail address."),
        new("operator.status_invalid", 422, "Operator status refused", "The status is none that an operator has."),
        new("organization.missing", 404, "No such organization", "The organization does not exist for this caller."),
        new("organization.exists", 409, "Organization exists", "Another organization has the id."),
        new("organization.name_invalid", 422, "Organization name refused", "The name is not 1 to 200 characters, or holds control characters."),
        new("organization.slug_invalid", 422, "Slug refused", "The slug is not 2 to 39 lower-case letters and digits with single hyphens between them."),
        new("organization.status_invalid", 422, "Organization status refused", "The status is none that an organization has."),
        new("password.too_short", 422, "Password too short", "The password has fewer than 12 characters."),
        new("password.too_long", 422, "Password too long", "The password has more than 128 characters."),
        new("password.too_common", 422, "Password too common", "The password is among the first that are tried."),
        new("session.missing", 404, "No such session", "The session does not exist for this caller."),
        new("session.exists", 409, "Session exists", "Another session has the id."),
        new("session.holder_required", 403, "Person required", "Only a person signs in."),
        new("session.invalid_grant", 403, "Refresh token refused", "The refresh token is not, or no longer, valid."),
        new("session.reason_invalid", 422, "Reason refused", "The reason is none for which a session ends."),
        new("session.status_invalid", 422, "Session status refused", "The status is none that a session has."),
        new("stream.archived", 409, "Archived", "What the command is for has been archived and takes no more changes."),
        new("stream.contended", 409, "Contended", "Too many changes at the same time; try again."),
        new("user.missing", 404, "No such user", "The user does not exist for this caller."),
        new("user.exists", 409, "User exists", "Another user has the id."),
        new("user.email_taken", 409, "E-mail address taken", "Another user of the organization has this e-mail address."),
        new("user.role_invalid", 422, "Role refused", "The role is none that a user can have."),
        new("user.status_invalid", 422, "User status refused", "The status is none that a user has."),
        new("idempotency.mismatch", 422, "Idempotency key reused", "The `Idempotency-Key` was used before with another body."),
    ];
}
