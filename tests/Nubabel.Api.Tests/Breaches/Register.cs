using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Tests.Races;
using Nubabel.Domain;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Breaches;

/// <summary>Breaches of tests, and people whom they affect.</summary>
internal static class Register
{
    public const string Path = "/api/admin/breaches";

    public static object Words(string subject = "Your address may have been read") => new
    {
        subject,
        whatHappened = "A copy of our data could be read by anybody.\nFrom Monday on.",
        consequences = "You may get unwanted mail.",
        measures = "The copy is gone.",
        contact = "privacy@example.com",
        advice = "Open no links.",
    };

    public static object Wanted(DateTimeOffset awareAt, string title = "A backup", string description = "Ada Lovelace has found it.") =>
        new { title, description, awareAt, kinds = new[] { "confidentiality" }, source = "monitoring" };

    public static object Assessment(string risk) => new { risk, reason = "Addresses could be read.", dataCategories = new[] { "addresses" }, peopleCategories = new[] { "users" }, approximatePeople = 12 };

    /// <summary>A breach; the answer's location is where it stands.</summary>
    public static async Task<Reply> Breach(this HttpClient platform, DateTimeOffset? awareAt = null, string title = "A backup", string description = "Ada Lovelace has found it.")
    {
        var made = await Reply.To(platform, "POST", Path, Wanted(awareAt ?? TimeProvider.System.GetUtcNow(), title, description));
        Assert.True(made.Status == 201, made.Body);
        return made;
    }

    /// <summary>Says who is affected and what both audiences are told.</summary>
    public static async Task Prepare(this HttpClient platform, string path, object affected)
    {
        Assert.Equal(200, (await Reply.To(platform, "PUT", $"{path}/affected", affected)).Status);
        foreach (var audience in new[] { "tenants", "people" }) Assert.Equal(200, (await Reply.To(platform, "PUT", $"{path}/notices/{audience}", Words())).Status);
    }

    /// <summary>Tells an audience, and waits until every letter has ended.</summary>
    public static async Task<JsonElement> Tell(this HttpClient platform, string path, string audience)
    {
        var job = await Reply.To(platform, "POST", $"{path}/notifications", new { audience });
        Assert.True(job.Status == 202, job.Body);
        await Burst.Until("the job is done", TimeSpan.FromSeconds(20), async () => (await Reply.To(platform, "GET", job.Location!)).Text("state") == "completed");
        JsonElement counts = default;
        await Burst.Until("all letters have ended", TimeSpan.FromSeconds(20), async () =>
        {
            counts = (await platform.Counts(path)).Last(c => c.GetProperty("audience").GetString() == audience);
            return counts.GetProperty("waiting").GetInt64() == 0;
        });
        return counts;
    }

    public static async Task<IReadOnlyList<JsonElement>> Counts(this HttpClient platform, string path)
    {
        // As far as the log is now, so that no letter is missed.
        var position = (await Reply.To(platform, "PUT", $"{path}/assessment", Assessment("high"))).Position;
        return [.. (await Reply.Seen(platform, $"{path}/notifications", position)).Json.GetProperty("items").EnumerateArray()];
    }

    /// <summary>Somebody who is registered without the edge.</summary>
    /// <param name="email">Null for one whose key is destroyed: nothing opens what was sealed with it.</param>
    public static async Task<Id<User>> Person(this TestTenant tenant, string? email)
    {
        var (node, id) = (tenant.Api.Services.GetRequiredService<Node>(), new Id<User>(Guid.CreateVersion7()));
        var address = email is null ? new Personal(Streams.Of(id), "AAECAwQFBgcICQoLDA0ODw") : await node.Seal(tenant.Id, Streams.Of(id), email, CancellationToken.None);
        await node.Journal(tenant.Id, new Origin("system:test")).Create(id, new RegisterUser(address, $"key-{id}", address, "hash", Role.Member), CancellationToken.None);
        return id;
    }
}
