using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Operators;
using Nubabel.Api.Tests.ApiKeys;
using Nubabel.Api.Tests.Races;
using Nubabel.Domain;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Tenants;

/// <summary>An operator who is removed gets in nowhere, on no node, by no token.</summary>
[Collection(TwoNodes.Name)]
public sealed class OperatorRemovalTests(TwoNodes nodes)
{
    private readonly string address = $"op-{Guid.NewGuid():N}@nubabel.example";

    [Fact]
    public async Task A_removed_operator_is_refused_on_every_node_and_the_address_may_come_back()
    {
        var id = await Add();
        var tokens = (await SignIn()).Json;
        var clients = new[] { nodes.A, nodes.B }.Select(node => node.As(tokens.GetProperty("access_token").GetString()!)).ToArray();
        foreach (var client in clients) Assert.Equal(200, (await Reply.To(client, "GET", "/api/admin/tenants")).Status);
        var key = await clients[0].Make(Keys.PlatformPath, ["platform:tenants-read"]);
        using var machine = nodes.B.As(key.GetProperty("key").GetString()!);
        Assert.Equal(200, (await Reply.To(machine, "GET", "/api/admin/tenants")).Status);

        Assert.Equal(id, await Remove());
        foreach (var client in clients)
            await Burst.Until("the operator is refused", TimeSpan.FromSeconds(5), async () => await Reply.To(client, "GET", "/api/admin/tenants") is { Status: 401, Code: "credential.revoked" });
        await Burst.Until("the key is refused", TimeSpan.FromSeconds(5), async () => await Reply.To(machine, "GET", "/api/admin/tenants") is { Status: 401, Code: "credential.revoked" });
        Assert.Equal("session.invalid_grant", (await Reply.To(nodes.B.Client, "POST", "/admin/auth/refresh", new { refresh_token = tokens.GetProperty("refresh_token").GetString() })).Code);
        Assert.Equal("sign_in.failed", (await SignIn()).Code);
        Assert.Equal("operator.missing", (await Assert.ThrowsAsync<Refused>(Remove)).Code);

        Assert.NotEqual(id, await Add());
        Assert.Equal(200, (await SignIn()).Status);
        Assert.Equal(401, (await Reply.To(clients[0], "GET", "/api/admin/tenants")).Status);
    }

    [Fact]
    public async Task Operators_are_listed_with_their_addresses_and_their_ends()
    {
        await Add();
        await Remove();
        await Add();
        var mine = (await OperatorsApi.All(Get<Node>(), CancellationToken.None)).Where(o => o.Email == address).Select(o => o.Operator.RemovedAt is not null);
        Assert.Equal([true, false], mine);
    }

    private async Task<object> Add() =>
        await OperatorsApi.Add(Get<Node>(), Get<SignIns>(), Get<Passwords>(), Email.Parse(address), Password.Parse(TestTenant.Password), CancellationToken.None);

    private async Task<object> Remove() => await OperatorsApi.Remove(Get<Node>(), Get<SignIns>(), Email.Parse(address), CancellationToken.None);

    private Task<Reply> SignIn() => Reply.To(nodes.A.Client, "POST", "/admin/auth/sign-in", new { email = address, password = TestTenant.Password });

    private T Get<T>() where T : notnull => nodes.A.Services.GetRequiredService<T>();
}
