using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain;
using Nubabel.Domain.DataExports;
using Nubabel.Domain.Jobs;
using Nubabel.Domain.Retention;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Tenancy;

/// <summary>How to make what an operation names, and what to send to it. A new operation with an id in its path is added here, or the sweep fails.</summary>
/// <param name="Make">Makes one that belongs to this user and returns its id.</param>
/// <param name="Body">What the operation is sent; null for nothing.</param>
/// <param name="Personal">It is its owner's alone: to other users of the same organization it does not exist either.</param>
public sealed partial record Resource(Func<TestTenant, Task<string>> Make, object? Body = null, bool Personal = true)
{
    public static IReadOnlyDictionary<string, Resource> ByOperation { get; } = Slices().Concat(Registers()).ToDictionary();

    private static Dictionary<string, Resource> Slices() => new()
    {
        ["GET /api/devices/{id}"] = new(Device),
        ["DELETE /api/devices/{id}"] = new(Device),
        ["PUT /api/devices/{id}/name"] = new(Device, new { name = "another" }),
        ["PUT /api/devices/{id}/key"] = new(Device, new { publicKey = "AAAA" }),
        ["PUT /api/devices/{id}/revocation"] = new(Device, new { reason = "lost" }),
        ["DELETE /api/sessions/{id}"] = new(Session),
        ["GET /api/user/data-exports/{id}"] = new(Export),
        ["GET /api/user/data-exports/{id}/content"] = new(Export),
        ["DELETE /api/user/data-exports/{id}"] = new(Export),
        ["GET /api/organization/data-exports/{id}"] = new(OrganizationExport, Personal: false),
        ["GET /api/organization/data-exports/{id}/content"] = new(OrganizationExport, Personal: false),
        ["DELETE /api/organization/data-exports/{id}"] = new(OrganizationExport, Personal: false),
        ["GET /api/jobs/{id}"] = new(Job),
        ["DELETE /api/jobs/{id}"] = new(Job),
        ["GET /api/legal-holds/{id}"] = new(LegalHold, Personal: false),
        ["PUT /api/legal-holds/{id}/release"] = new(LegalHold, new { reason = "settled" }, Personal: false),
        ["GET /api/retention-runs/{id}"] = new(RetentionRun, Personal: false),
        ["GET /api/members/{userId}"] = new(Member, Personal: false),
        ["DELETE /api/members/{userId}"] = new(Member, Personal: false),
        ["PUT /api/members/{userId}/role"] = new(Member, new { role = "viewer" }, Personal: false),
        ["PUT /api/members/{userId}/suspension"] = new(Member, new { reason = "on leave" }, Personal: false),
        ["DELETE /api/members/{userId}/suspension"] = new(Member, Personal: false),
        ["GET /api/invitations/{id}"] = new(Invitation, Personal: false),
        ["DELETE /api/invitations/{id}"] = new(Invitation, Personal: false),
        ["GET /api/api-keys/{id}"] = new(ApiKey, Personal: false),
        ["DELETE /api/api-keys/{id}"] = new(ApiKey, Personal: false),
        ["POST /api/api-keys/{id}/rotation"] = new(ApiKey, new { overlapSeconds = 60 }, Personal: false),
        ["GET /api/webhook-sources/{id}"] = new(WebhookSource, Personal: false),
        ["DELETE /api/webhook-sources/{id}"] = new(WebhookSource, Personal: false),
        ["POST /api/webhook-sources/{id}/rotation"] = new(WebhookSource, new { overlapSeconds = 60 }, Personal: false),
        ["GET /api/consumers/{id}"] = new(Consumer, Personal: false),
        ["PATCH /api/consumers/{id}"] = new(Consumer, new { description = "another" }, Personal: false),
        ["DELETE /api/consumers/{id}"] = new(Consumer, Personal: false),
        ["PUT /api/consumers/{id}/pause"] = new(Consumer, Personal: false),
        ["PUT /api/consumers/{id}/activation"] = new(Consumer, Personal: false),
        ["POST /api/consumers/{id}/secret/rotate"] = new(Consumer, new { overlapSeconds = 60 }, Personal: false),
        ["DELETE /api/consumers/{id}/secret/previous"] = new(Consumer, Personal: false),
        ["GET /api/consumers/{id}/deliveries"] = new(Consumer, Personal: false),
        ["POST /api/consumers/{id}/replay"] = new(Consumer, new { time = "2026-01-01T00:00:00Z" }, Personal: false),
        ["POST /api/consumers/{id}/test"] = new(Consumer, Personal: false),
        ["GET /api/consumers/{id}/deliveries/{deliveryId}"] = new(Delivery, Personal: false),
        ["POST /api/consumers/{id}/deliveries/{deliveryId}/resend"] = new(Delivery, Personal: false),
    };

    private const string Signed = "an address that a signature opens, whoever calls";
    private const string OperatorKey = "an operators' key, which is the platform's";
    private const string Tenant = "an organization, which operators see and its members do not";
    private const string ReadModel = "a read model of this build";
    private const string Letter = "a dead letter of any organization, which operators see and its members do not";
    private const string AnyHold = "a legal hold in any organization, which operators see";
    private const string Category = "a category of data, which is declared in the code";
    private const string AnyJob = "a job of any organization or of the platform";
    private const string Flag = "a flag, which is the platform's and for all organizations";

    /// <summary>Operations whose path names what belongs to no tenant, with what it names.</summary>
    public static IReadOnlyDictionary<string, string> Platform { get; } = Operators().Concat(PlatformRegisters()).ToDictionary();

    private static Dictionary<string, string> Operators() => new()
    {
        ["GET /api/erasure-receipts/{code}"] = "an erasure, by a secret code and whoever calls",
        ["POST /api/webhooks/{provider}"] = Signed,
        ["POST /api/webhooks/{provider}/{address}"] = Signed,
        ["GET /api/admin/projections/{name}"] = ReadModel,
        ["PUT /api/admin/projections/{name}/pause"] = ReadModel,
        ["DELETE /api/admin/projections/{name}/pause"] = ReadModel,
        ["GET /api/admin/projections/{name}/parked"] = ReadModel,
        ["POST /api/admin/projections/{name}/parked/retry"] = ReadModel,
        ["POST /api/admin/projections/{name}/parked/skip"] = ReadModel,
        ["GET /api/admin/projections/{name}/rebuild"] = ReadModel,
        ["POST /api/admin/projections/{name}/rebuild"] = ReadModel,
        ["DELETE /api/admin/projections/{name}/rebuild"] = ReadModel,
        ["GET /api/admin/dead-letters/{id}"] = Letter,
        ["POST /api/admin/dead-letters/{id}/replay"] = Letter,
        ["POST /api/admin/dead-letters/{id}/discard"] = Letter,
        ["GET /api/admin/dead-letters/sweeps/{id}"] = "an act of operators on many dead letters",
        ["GET /api/retention-policies/{category}"] = Category,
        ["PUT /api/retention-policies/{category}"] = Category,
        ["DELETE /api/retention-policies/{category}"] = Category,
        ["GET /api/admin/retention-policies/{category}"] = Category,
        ["PUT /api/admin/retention-policies/{category}"] = Category,
        ["DELETE /api/admin/retention-policies/{category}"] = Category,
        ["GET /api/admin/jobs/{id}"] = AnyJob,
        ["GET /api/admin/legal-holds/{id}"] = AnyHold,
        ["PUT /api/admin/legal-holds/{id}/release"] = AnyHold,
        ["DELETE /api/admin/jobs/{id}"] = AnyJob,
        ["DELETE /api/admin/tenants/{id}/closure"] = Tenant,
        ["DELETE /api/admin/tenants/{id}/suspension"] = Tenant,
        ["GET /api/admin/tenants/{id}"] = Tenant,
        ["PATCH /api/admin/tenants/{id}"] = Tenant,
        ["PUT /api/admin/tenants/{id}/closure"] = Tenant,
        ["PUT /api/admin/tenants/{id}/suspension"] = Tenant,
        ["DELETE /api/admin/api-keys/{id}"] = OperatorKey,
        ["GET /api/admin/api-keys/{id}"] = OperatorKey,
        ["POST /api/admin/api-keys/{id}/rotation"] = OperatorKey,
        ["DELETE /admin/feature-flags/{key}"] = Flag,
        ["DELETE /admin/feature-flags/{key}/overrides/{organizationId}"] = Flag,
        ["DELETE /admin/feature-flags/{key}/rules/{id}"] = Flag,
        ["GET /admin/feature-flags/{key}"] = Flag,
        ["GET /admin/feature-flags/{key}/evaluations"] = Flag,
        ["GET /admin/feature-flags/{key}/history"] = Flag,
        ["PATCH /admin/feature-flags/{key}"] = Flag,
        ["POST /admin/feature-flags/{key}/overrides"] = Flag,
        ["POST /admin/feature-flags/{key}/rules"] = Flag,
        ["PUT /admin/feature-flags/{key}/rules"] = Flag,
    };

    private static async Task<string> Device(TestTenant owner)
    {
        using var answer = await owner.Client.PostAsJsonAsync("/api/devices", new { name = $"d{Guid.NewGuid():N}", type = "mobile" });
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetString()!;
    }

    private static async Task<string> Member(TestTenant owner) => (await owner.Colleague()).User;

    private static async Task<string> Invitation(TestTenant owner)
    {
        using var answer = await owner.Client.PostAsJsonAsync("/api/invitations", new { email = $"i{Guid.NewGuid():N}@{owner.Slug}.example", role = "member" });
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetString()!;
    }

    private static async Task<string> LegalHold(TestTenant owner)
    {
        using var answer = await owner.Client.PostAsJsonAsync("/api/legal-holds", new { reason = "proceedings" });
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetString()!;
    }

    private static async Task<string> RetentionRun(TestTenant owner)
    {
        var run = new Id<RetentionRun>(Guid.CreateVersion7());
        var node = owner.Api.Services.GetRequiredService<Node>();
        await node.Journal(owner.Id, new Origin("system:retention")).Create(run, new BeginRetentionRun(node.Time.GetUtcNow(), RetentionTrigger.Schedule), CancellationToken.None);
        return run.ToString();
    }

    private static async Task<string> ApiKey(TestTenant owner)
    {
        using var answer = await owner.Client.PostAsJsonAsync("/api/api-keys", new { name = $"k{Guid.NewGuid():N}", scopes = new[] { "members:read" } });
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetString()!;
    }

    /// <summary>One that nobody works on, so that it is open for as long as the sweep needs it.</summary>
    private static async Task<string> Job(TestTenant owner)
    {
        var job = new Id<Job>(Guid.CreateVersion7());
        await owner.Api.Services.GetRequiredService<Node>().Journal(owner.Id, new Origin($"user:{owner.User}")).Create(job, new StartJob(JobKind.Parse("test")), CancellationToken.None);
        return job.ToString();
    }

    private static async Task<string> WebhookSource(TestTenant owner)
    {
        using var answer = await owner.Client.PostAsJsonAsync("/api/webhook-sources", new { provider = "github" });
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetString()!;
    }

    private static async Task<string> Consumer(TestTenant owner) => (await PausedConsumer(owner)).GetProperty("id").GetString()!;

    private static async Task<JsonElement> PausedConsumer(TestTenant owner)
    {
        // Nobody listens there, and nothing is sent before it is active again.
        var wanted = new { name = $"c{Guid.NewGuid():N}", url = "http://127.0.0.1:1/", types = new[] { "nubabel.device.registered.v1" } };
        // An organization has 20 at most.
        using var made = await owner.Client.PostAsJsonAsync("/api/consumers", wanted);
        if (made.StatusCode == System.Net.HttpStatusCode.Conflict)
        {
            await RemoveConsumers(owner);
            return await PausedConsumer(owner);
        }
        made.EnsureSuccessStatusCode();
        var consumer = await made.Content.ReadFromJsonAsync<JsonElement>();
        (await owner.Client.PutAsync($"/api/consumers/{consumer.GetProperty("id").GetString()}/pause", null)).EnsureSuccessStatusCode();
        return consumer;
    }

    private static async Task RemoveConsumers(TestTenant owner)
    {
        foreach (var consumer in (await owner.Client.GetFromJsonAsync<JsonElement>("/api/consumers")).GetProperty("items").EnumerateArray())
            await owner.Client.DeleteAsync($"/api/consumers/{consumer.GetProperty("id").GetString()}");
    }

    private static async Task<string> Delivery(TestTenant owner)
    {
        var consumer = (await PausedConsumer(owner)).GetProperty("id").GetString();
        using var registered = await owner.Client.PostAsJsonAsync("/api/devices", new { name = $"d{Guid.NewGuid():N}", type = "mobile" });
        var delivery = (await owner.Client.Items($"/api/consumers/{consumer}/deliveries", registered.Position()))[0];
        return $"{consumer} {delivery.Text("id")}";
    }

    private static Task<string> Export(TestTenant owner) => Export(owner, ExportScope.User);
    private static Task<string> OrganizationExport(TestTenant owner) => Export(owner, ExportScope.Organization);

    /// <summary>One that its job has just made.</summary>
    private static async Task<string> Export(TestTenant owner, ExportScope scope)
    {
        var (export, generation, node) = (new Id<DataExport>(Guid.CreateVersion7()), Guid.CreateVersion7(), owner.Api.Services.GetRequiredService<Node>());
        var expires = node.Time.GetUtcNow().AddDays(1);
        await using (var file = await new SealedFiles(node.Database, node.Subjects, owner.Id).Create(export.Value, generation, $"user-{owner.User}", false, expires, CancellationToken.None)) await file.Complete();
        await node.Journal(owner.Id, new Origin($"user:{owner.User}")).Create(export, new MakeDataExport(scope, Id<User>.Parse(owner.User), generation, 0, new string('0', 64), 1, expires), CancellationToken.None);
        return export.ToString();
    }

    private static async Task<string> Session(TestTenant owner) => (await owner.SignIn()).Session;
}
