using Nubabel.Domain.Attempts;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Attempts;

// The namespaces around this one know another of that name.
public sealed class AttemptSpecs : Spec<Domain.Attempts.Attempt>
{
    private const string Operation = "PUT /api/devices/{id}/name", Object = "0198aaaa-0000-7000-8000-0000000000d1";

    [Fact]
    public void A_denied_permission_is_recorded() =>
        Given().When(new RecordDenied(Operation, "devices:write", 1, Object)).Then(new AttemptDenied(Operation, "devices:write", 1, Object));

    [Fact]
    public void A_refused_command_is_recorded() =>
        Given().When(new RecordRefused(Operation, "device.revoked", 7)).Then(new AttemptRefused(Operation, "device.revoked", 7));

    [Fact]
    public void What_is_too_much_to_tell_is_counted() => Given().When(new RecordOverflow(12)).Then(new AttemptOverflowed(12));

    [Fact]
    public void The_same_again_is_recorded_again() =>
        Given(new AttemptRefused(Operation, "device.revoked", 1)).When(new RecordRefused(Operation, "device.revoked", 1)).Then(new AttemptRefused(Operation, "device.revoked", 1));

    [Fact]
    public void An_attempt_holds_nothing() => Given(new AttemptDenied(Operation, "devices:write", 1)).Holds();
}
