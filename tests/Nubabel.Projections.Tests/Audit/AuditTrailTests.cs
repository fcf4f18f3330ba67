using System.Reflection;
using System.Text.Json;
using Nubabel.Domain;
using Nubabel.Domain.Attempts;
using Nubabel.Domain.Devices;
using Nubabel.Domain.Sessions;
using Nubabel.Projections.Audit;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Projections.Tests.Audit;

public sealed class AuditTrailTests
{
    private const string Device = "device-0198aaaa-0000-7000-8000-0000000000d1", Session = "session-0198aaaa-0000-7000-8000-0000000000a1";

    [Fact]
    public void Every_event_becomes_one_entry_that_says_who_what_when_and_from_where()
    {
        const string headers = """
            {"ip": {"$p": 1, "s": "user-1", "c": "aXA"}, "reason": "because", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "user_agent": {"$p": 1, "s": "user-1", "c": "dWE"}}
            """;
        var e = Given.Event(Device, new DeviceRenamed(Named.Text("pocket"), Named.Key("pocket")), 2, headers);
        Assert.Equal(
            [
                new AuditRow(e.At, e.Id, new Personal("user-1", "aXA"), e.Actor, "device.renamed", Device, "because", "succeeded", "0af7651916cd43dd8448eb211c80319c", 2, "request-1", new Personal("user-1", "dWE")),
            ],
            AuditTrail.Project(e));
    }

    [Fact]
    public void What_was_not_let_through_is_told_as_refused() =>
        Assert.Equal("refused", AuditTrail.Project(Given.Event(Session, new SessionRefreshReused(0))).Single().Outcome);

    [Fact]
    public void An_attempt_says_what_was_asked_for_in_vain_and_why()
    {
        const string stream = "attempt-user-0198aaaa-0000-7000-8000-000000000002";
        var denied = AuditTrail.Project(Given.Event(stream, new AttemptDenied("POST /api/devices", "devices:write", 1))).Single();
        Assert.Equal(("attempt.denied", "denied", "devices:write", stream), (denied.Action, denied.Outcome, denied.Reason, denied.Object));
        var refused = AuditTrail.Project(Given.Event(stream, new AttemptRefused("POST /api/devices", "device.name_taken", 3))).Single();
        Assert.Equal(("attempt.refused", "refused", "device.name_taken"), (refused.Action, refused.Outcome, refused.Reason));
        Assert.Equal("refused", AuditTrail.Project(Given.Event(stream, new AttemptOverflowed(3))).Single().Outcome);
    }

    [Theory]
    [InlineData("sign_in_failed", "sign_in.failed")]
    [InlineData("sign_in_locked", "sign_in.locked")]
    public void A_failed_sign_in_is_refused(string alias, string action)
    {
        var failed = new Recorded { Position = 1, Tenant = "t", Stream = "sign-in-0a1b2c3d4e5f", Version = 1, Type = alias, Data = null, At = Given.Noon };
        var entry = AuditTrail.Project(failed).Single();
        Assert.Equal((action, "refused"), (entry.Action, entry.Outcome));
    }

    /// <summary>A stock Marten or a newer build may write to the log, too; the trail leaves none of it out.</summary>
    [Theory]
    [InlineData("invoice_sent", "invoice-0198aaaa-0000-7000-8000-0000000000f1", "invoice.sent")]
    [InlineData("invoice_sent", "not ours", "invoice_sent")]
    [InlineData("device_registered", "session-0198aaaa-0000-7000-8000-0000000000a1", "device_registered")]
    [InlineData("api_key_rotated", "api-key-0198aaaa-0000-7000-8000-0000000000f2", "api_key.rotated")]
    public void An_event_of_another_writer_is_an_entry_as_well(string alias, string stream, string action)
    {
        var foreign = new Recorded { Position = 1, Tenant = "t", Stream = stream, Version = 1, Type = alias, Data = null, At = Given.Noon, Headers = """{"ip":"plain","reason":7}""" };
        var entry = AuditTrail.Project(foreign).Single();
        Assert.Equal((action, stream, null, null, null, null), (entry.Action, entry.Object, entry.Actor, entry.Ip, entry.Reason, entry.RequestId));
    }

    /// <summary>A new event with a hash or a look-up key in it fails here until its member is hidden.</summary>
    [Fact]
    public void No_hash_and_no_lookup_key_is_shown()
    {
        var secret = EventCatalog.All.SelectMany(e => Members(e.Type)).Where(name => name.EndsWith("Hash", StringComparison.Ordinal) || name.EndsWith("Key", StringComparison.Ordinal)).ToHashSet();
        // What a device publishes is meant to be seen, a flag's key is its name, and the hash of the words that somebody agreed to is the proof of it.
        secret.ExceptWith(["PublicKey", "Key", "TextHash"]);
        Assert.Equal(["CodeHash", "EmailKey", "NameKey", "PasswordHash", "SecretHash", "TokenHash", "TwinHash"], secret.Order(StringComparer.Ordinal));
        // What is sealed for the servers alone, and what strangers have sent.
        secret.UnionWith(EventCatalog.All.SelectMany(e => Members(e.Type)).Where(name => name.StartsWith("Sealed", StringComparison.Ordinal) || name == "Payload"));
        Assert.Equal(AuditTrail.Hidden.Order(StringComparer.Ordinal), secret.Select(JsonNamingPolicy.CamelCase.ConvertName).Order(StringComparer.Ordinal));
    }

    /// <summary>Only members of the event itself are hidden, so none may stand further inside.</summary>
    [Fact]
    public void Events_are_flat_where_they_hold_secrets() => Assert.DoesNotContain(
        EventCatalog.All.SelectMany(e => e.Type.GetProperties()).Where(p => p.PropertyType.Assembly == typeof(Personal).Assembly).SelectMany(p => Members(p.PropertyType)),
        name => name.EndsWith("Hash", StringComparison.Ordinal) || name.EndsWith("EmailKey", StringComparison.Ordinal));

    private static IEnumerable<string> Members(Type type) => type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Select(p => p.Name);
}
