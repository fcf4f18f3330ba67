using Nubabel.Projections.Audit;

namespace Nubabel.Projections.Tests;

public sealed class AuditActionTests
{
    [Theory]
    [InlineData("device_registered", "device-0198aaaa-0000-7000-8000-000000000001", "device.registered")]
    [InlineData("signing_key_rotated", "signing-key-0198aaaa-0000-7000-8000-000000000001", "signing_key.rotated")]
    [InlineData("flag_enabled", "flag-dark-mode", "flag.enabled")]
    [InlineData("flag_rule_added", "flag-a-rather-long-key-that-is-longer-than-any-id-would-be", "flag.rule_added")]
    [InlineData("flag_enabled", "flag-a-0198aaaa-0000-7000-8000-000000000001", "flag.enabled")]
    [InlineData("order_placed", "invoice-0198aaaa-0000-7000-8000-000000000001", "order_placed")]
    [InlineData("flag_", "flag-a", "flag_")]
    [InlineData("personal_data_read", "personal-data-user-0198aaaa-0000-7000-8000-000000000001", "personal_data.read")]
    [InlineData("personal_data_read", "personal-data-user-0198aaaa-0000-7000-8000-000000000001.7", "personal_data.read")]
    [InlineData("personal_data_read", "personal-data-user-0198aaaa-0000-7000-8000-000000000001.12", "personal_data.read")]
    [InlineData("devices", "device-0198aaaa-0000-7000-8000-000000000001", "devices")]
    [InlineData("placed", "1", "placed")]
    public void An_action_is_the_kind_and_what_happened(string alias, string stream, string action) => Assert.Equal(action, AuditTrail.ActionOf(alias, stream));
}
