using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api;
using Nubabel.Api.Host;
using Nubabel.Api.Operators;
using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Testing;

/// <summary>Those beside an organization's owner.</summary>
public static class Accounts
{
    /// <summary>A new operator, signed in.</summary>
    public static async Task<HttpClient> Operator(this TestApi api)
    {
        var node = api.Services.GetRequiredService<Node>();
        var address = $"op-{Guid.NewGuid():N}@nubabel.example";
        await OperatorsApi.Add(
            node, api.Services.GetRequiredService<SignIns>(), api.Services.GetRequiredService<Passwords>(), Email.Parse(address), Password.Parse(TestTenant.Password), CancellationToken.None);
        using var answer = await api.Client.PostAsJsonAsync("/admin/auth/sign-in", new { email = address, password = TestTenant.Password });
        answer.EnsureSuccessStatusCode();
        return api.As((await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("access_token").GetString()!);
    }

    /// <summary>The organization as another user of it sees it.</summary>
    public static async Task<TestTenant> Colleague(this TestTenant tenant, Role role = Role.Member)
    {
        var services = tenant.Api.Services;
        var node = services.GetRequiredService<Node>();
        var email = $"bob-{Guid.NewGuid():N}@{tenant.Slug}.example";
        var id = new Id<User>(Guid.CreateVersion7());
        var register = new RegisterUser(
            await node.Seal(tenant.Id, Streams.Of(id), email, CancellationToken.None), services.GetRequiredService<SignIns>().EmailKey(tenant.Id, Email.Parse(email)),
            await node.Seal(tenant.Id, Streams.Of(id), "Bob", CancellationToken.None), await services.GetRequiredService<Passwords>().Hash(Password.Parse(TestTenant.Password), CancellationToken.None), role);
        List<Step> steps = [new Step<User>(id, register, fresh: true)];
        if (role == Role.Owner) steps.Add(new Step<Organization>(Id<Organization>.Parse(tenant.Id), new AddOwner(id)));
        await node.Journal(tenant.Id, new Origin("system:test")).Commit(steps, CancellationToken.None);
        return await tenant.SignIn(email);
    }

    /// <summary>Another sign-in to the organization.</summary>
    public static async Task<TestTenant> SignIn(this TestTenant tenant, string? email = null)
    {
        using var answer = await tenant.Api.Client.PostAsJsonAsync("/api/auth/sign-in", new { organization = tenant.Slug, email = email ?? tenant.Email, password = TestTenant.Password });
        if (!answer.IsSuccessStatusCode) throw new InvalidOperationException($"Sign-in: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
        return TestTenant.Of(tenant.Api, tenant.Slug, email ?? tenant.Email, await answer.Content.ReadFromJsonAsync<JsonElement>());
    }
}
