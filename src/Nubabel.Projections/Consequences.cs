using System.Text.Json;
using Nubabel.Domain;
using Nubabel.Domain.ApiKeys;
using Nubabel.Domain.Consumers;
using Nubabel.Domain.Devices;
using Nubabel.Domain.Invitations;
using Nubabel.Domain.Operators;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Domain.Webhooks;
using Nubabel.Store;

namespace Nubabel.Projections;

/// <summary>What follows from the product's log beside the read models: claims from states, and the directory from who was founded under which slug.</summary>
public sealed class Consequences : IConsequences
{
    /// <summary>The aggregates whose states hold claims. Their streams are named by ids.</summary>
    private static readonly Dictionary<string, Func<IReadOnlyList<Recorded>, IEnumerable<Claim>>> Holders = new()
    {
        [ApiKey.Kind] = Of<ApiKey>,
        [Consumer.Kind] = Of<Consumer>,
        [Device.Kind] = Of<Device>,
        [Invitation.Kind] = Of<Invitation>,
        [Operator.Kind] = Of<Operator>,
        [User.Kind] = Of<User>,
        [Webhook.Kind] = Of<Webhook>,
    };

    public static Consequences All { get; } = new();

    /// <summary>The kinds of streams that hold claims.</summary>
    public static IEnumerable<string> Kinds => Holders.Keys;

    public bool HoldsClaims(string stream) => Holders.ContainsKey(KindOf(stream));

    public IReadOnlyList<ClaimValue> ClaimsOf(string stream, IReadOnlyList<Recorded> history) =>
        Holders.TryGetValue(KindOf(stream), out var of) ? [.. of(history).Select(c => new ClaimValue(c.Scope, c.Value))] : [];

    public string? SlugOf(LoggedEvent e)
    {
        ArgumentNullException.ThrowIfNull(e);
        if (e.Type != "organization_founded" || e.Stream != $"{Organization.Kind}-{e.Tenant}") return null;
        // Another program may have written anything under this alias.
        using var data = JsonDocument.Parse(e.Data, new JsonDocumentOptions { MaxDepth = 100_000 });
        return data.RootElement.ValueKind == JsonValueKind.Object && data.RootElement.TryGetProperty("slug", out var slug) && slug.ValueKind == JsonValueKind.String ? slug.GetString() : null;
    }

    /// <summary><c>api-key</c> of <c>api-key-0198…</c></summary>
    private static string KindOf(string stream) => stream.Length > 37 ? stream[..^37] : "";

    private static IEnumerable<Claim> Of<T>(IReadOnlyList<Recorded> history) where T : IAggregate<T> => T.Claims(Streams.Fold<T>(history));
}
