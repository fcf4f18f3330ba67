namespace Nubabel.Api.Host;

public static partial class ProblemCodes
{
    /// <summary>What decisions and value types refuse, slice by slice.</summary>
    private static ProblemCode[] Slices =>
    [
        new("device.missing", 404, "No such device", "The device does not exist for this caller."),
        new("device.name_taken", 409, "Device name taken", "Another device of the same user has this name, upper and lower case being equal."),
        new("device.name_invalid", 422, "Device name refused", "The name is not 1 to 50 characters and at most 200 bytes, or holds control characters."),
        new("idempotency.mismatch", 422, "Idempotency key reused", "The `Idempotency-Key` was used before with another body."),
    ];
}
