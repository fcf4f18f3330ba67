using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Nubabel.Api.Consumers;
using Nubabel.Api.Host;
using Nubabel.Domain.Consumers;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Consumers;

/// <summary>What endpoints may be, and what they may do to who calls them.</summary>
public sealed class EndpointTests
{
    private static readonly Settings Closed = Read("false"), Open = Read("true");

    [Theory]
    [InlineData("0.0.0.0")]
    [InlineData("10.1.2.3")]
    [InlineData("100.64.0.1")]
    [InlineData("100.100.100.200")]
    [InlineData("127.0.0.1")]
    [InlineData("127.255.255.254")]
    [InlineData("169.254.169.254")]
    [InlineData("172.16.0.1")]
    [InlineData("172.31.255.255")]
    [InlineData("192.0.0.192")]
    [InlineData("192.0.2.1")]
    [InlineData("192.88.99.1")]
    [InlineData("192.168.1.1")]
    [InlineData("198.18.0.1")]
    [InlineData("203.0.113.1")]
    [InlineData("224.0.0.1")]
    [InlineData("240.0.0.1")]
    [InlineData("255.255.255.255")]
    [InlineData("168.63.129.16")]
    [InlineData("::")]
    [InlineData("::1")]
    [InlineData("::7f00:1")]
    [InlineData("::ffff:127.0.0.1")]
    [InlineData("::ffff:169.254.169.254")]
    [InlineData("64:ff9b::7f00:1")]
    [InlineData("64:ff9b::a9fe:a9fe")]
    [InlineData("64:ff9b:1::1")]
    [InlineData("100::1")]
    [InlineData("2001::1")]
    [InlineData("2001:0:4136:e378:8000:63bf:3fff:fdd2")]
    [InlineData("2001:db8::1")]
    [InlineData("2002:7f00:1::1")]
    [InlineData("2002:c0a8:101::1")]
    [InlineData("2002:a9fe:a9fe::1")]
    [InlineData("3fff::1")]
    [InlineData("5f00::1")]
    [InlineData("fc00::1")]
    [InlineData("fd00:ec2::254")]
    [InlineData("fe80::1")]
    [InlineData("fe80::1%3")]
    [InlineData("2a00::1%3")]
    [InlineData("fec0::1")]
    [InlineData("ff02::1")]
    public void An_address_that_is_not_of_the_public_internet_is_not_called(string address) => Assert.False(EndpointGuard.IsPublic(IPAddress.Parse(address)));

    [Theory]
    [InlineData("1.1.1.1")]
    [InlineData("100.63.255.255")]
    [InlineData("100.128.0.1")]
    [InlineData("172.15.255.255")]
    [InlineData("172.32.0.1")]
    [InlineData("::ffff:1.1.1.1")]
    [InlineData("64:ff9b::101:101")]
    [InlineData("2002:101:101::1")]
    [InlineData("2606:4700:4700::1111")]
    public void An_address_of_the_public_internet_is_called(string address) => Assert.True(EndpointGuard.IsPublic(IPAddress.Parse(address)));

    [Theory]
    [InlineData("http://hooks.example.com/", "https")]
    [InlineData("https://hooks.example.com:22/", "ports")]
    [InlineData("https://hooks.example.com:6379/", "ports")]
    [InlineData("https://localhost/", "local")]
    [InlineData("https://LOCALHOST./", "local")]
    [InlineData("https://db/", "local")]
    [InlineData("https://printer.local/", "local")]
    [InlineData("https://printer.local./", "local")]
    [InlineData("https://metadata.google.internal/", "local")]
    [InlineData("https://nas.home.arpa/", "local")]
    [InlineData("https://127.0.0.1/", "public")]
    [InlineData("https://2130706433/", "public")]
    [InlineData("https://0x7f.1/", "public")]
    [InlineData("https://0177.0.0.1/", "public")]
    [InlineData("https://169.254.169.254/latest/meta-data/", "public")]
    [InlineData("https://[::1]/", "public")]
    [InlineData("https://[::ffff:10.0.0.1]/", "public")]
    [InlineData("https://[fe80::1]/", "public")]
    [InlineData("https://inside.example.com/", "public")]
    [InlineData("https://both.example.com/", "public")]
    public async Task A_url_that_leads_elsewhere_is_refused_when_it_is_given(string url, string why)
    {
        var guard = new EndpointGuard(Closed, (host, _) => Task.FromResult<IPAddress[]>(host switch
        {
            "inside.example.com" => [IPAddress.Parse("10.0.0.7")],
            "both.example.com" => [IPAddress.Parse("1.1.1.1"), IPAddress.Parse("10.0.0.7")],
            _ => [IPAddress.Parse("1.1.1.1")],
        }));
        var problem = await Assert.ThrowsAsync<Problem>(() => guard.Check(EndpointUrl.Parse(url), default));
        Assert.Equal("consumer.url_refused", problem.Code);
        Assert.Contains(why, problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("https://hooks.example.com/a?b=c")]
    [InlineData("https://hooks.example.com:8443/")]
    [InlineData("https://1.1.1.1/")]
    [InlineData("https://nobody-knows.example.com/")]
    public async Task A_public_url_is_taken_also_while_nobody_knows_the_name(string url) =>
        await new EndpointGuard(Closed, (host, _) => host.StartsWith("nobody", StringComparison.Ordinal) ? throw new SocketException((int)SocketError.HostNotFound) : Task.FromResult<IPAddress[]>([IPAddress.Parse("1.1.1.1")]))
            .Check(EndpointUrl.Parse(url), default);

    [Theory]
    [InlineData("http://127.0.0.1:4711/")]
    [InlineData("https://localhost:4711/")]
    [InlineData("http://[::1]:4711/")]
    public async Task The_switch_of_development_lets_to_this_machine_and_nowhere_else(string url)
    {
        await new EndpointGuard(Open, Dns.GetHostAddressesAsync).Check(EndpointUrl.Parse(url), default);
        foreach (var other in new[] { "http://1.1.1.1/", "https://10.0.0.1/", "https://printer.local/" })
            await Assert.ThrowsAsync<Problem>(() => new EndpointGuard(Open, Dns.GetHostAddressesAsync).Check(EndpointUrl.Parse(other), default));
    }

    [Fact]
    public void The_switch_of_development_stops_a_start_anywhere_else()
    {
        var (_, errors) = Settings.Read(Configured("true"), "Production");
        Assert.Contains("Consumers__AllowLoopback is for Development only.", errors);
    }

    /// <summary>Another answer to each question, as an attacker's name server gives it: what is connected to is what was looked at.</summary>
    [Fact]
    public async Task A_name_that_changes_its_mind_leads_nowhere()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var asked = 0;
        var guard = new EndpointGuard(Closed, (_, _) => Task.FromResult<IPAddress[]>([Interlocked.Increment(ref asked) == 1 ? IPAddress.Parse("1.1.1.1") : IPAddress.Loopback]));
        await guard.Check(EndpointUrl.Parse("https://rebinding.example.com/"), default);
        using var client = new EndpointClient(guard, TimeProvider.System, TimeSpan.FromSeconds(5));
        var attempted = await client.Post("https://rebinding.example.com/", "{}"u8.ToArray(), [], default);
        Assert.Equal(("address_refused", null), (attempted.Error, attempted.Status));
        Assert.Equal(2, asked);
        Assert.False(listener.Pending());
    }

    [Fact]
    public async Task A_redirect_is_not_followed()
    {
        await using var inside = await Receiver.Start();
        await using var receiver = await Receiver.Start();
        foreach (var status in new[] { 301, 302, 303, 307, 308 })
        {
            receiver.Say(status, http => http.Response.Headers.Location = inside.Url);
            Assert.Equal((status, "redirected"), await Called(receiver));
        }
        Assert.Empty(inside.Calls);
    }

    [Fact]
    public async Task An_endpoint_that_never_answers_has_its_time_and_no_more()
    {
        await using var receiver = await Receiver.Start();
        receiver.Answer = (http, _) => Task.Delay(Timeout.Infinite, http.RequestAborted);
        var began = Stopwatch.GetTimestamp();
        Assert.Equal((null, "timeout"), await Called(receiver, TimeSpan.FromMilliseconds(400)));
        Assert.InRange(Stopwatch.GetElapsedTime(began), TimeSpan.FromMilliseconds(350), TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task What_was_answered_counts_although_the_body_never_ends()
    {
        await using var receiver = await Receiver.Start();
        receiver.Answer = async (http, _) =>
        {
            await http.Response.WriteAsync("thanks");
            await http.Response.Body.FlushAsync();
            await Task.Delay(Timeout.Infinite, http.RequestAborted);
        };
        Assert.Equal((200, null), await Called(receiver, TimeSpan.FromMilliseconds(400)));
    }

    [Fact]
    public async Task Of_a_hundred_megabytes_only_the_first_bytes_are_read()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var flood = Task.Run(() => Flood(listener, 100 << 20));
        using var client = Client();
        var attempted = await client.Post($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}/", "{}"u8.ToArray(), [], default);
        Assert.Equal((200, EndpointClient.AnswerBytes), (attempted.Status, attempted.Answer!.Length));
        // What lies in the sockets' buffers, and not the whole.
        Assert.InRange(await flood, 1, 30 << 20);
    }

    /// <summary>Answers with so many bytes, or as many as are taken.</summary>
    private static async Task<long> Flood(TcpListener listener, long bytes)
    {
        using var accepted = await listener.AcceptTcpClientAsync();
        var stream = accepted.GetStream();
        long written = 0;
        try
        {
            await stream.WriteAsync(System.Text.Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n"));
            for (var block = new byte[1 << 16]; written < bytes; written += block.Length) await stream.WriteAsync(block);
        }
        catch (IOException)
        {
        }
        return written;
    }

    [Fact]
    public async Task A_certificate_that_nobody_vouches_for_is_refused()
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using var certificate = request.CreateSelfSigned(TimeProvider.System.GetUtcNow().AddDays(-1), TimeProvider.System.GetUtcNow().AddDays(1));
        await using var receiver = await Receiver.Start(listen => listen.UseHttps(certificate));
        Assert.Equal((null, "certificate_invalid"), await Called(receiver));
        Assert.Empty(receiver.Calls);
    }

    [Fact]
    public async Task What_cannot_be_reached_says_one_word_and_no_more()
    {
        using var client = Client(host: _ => throw new SocketException((int)SocketError.HostNotFound));
        Assert.Equal("name_unknown", (await client.Post("https://nobody.example.com/", "{}"u8.ToArray(), [], default)).Error);
        Assert.Equal("connection_failed", (await client.Post("http://127.0.0.1:1/", "{}"u8.ToArray(), [], default)).Error);
        using var talker = new TcpListener(IPAddress.Loopback, 0);
        talker.Start();
        var talk = Task.Run(async () =>
        {
            using var accepted = await talker.AcceptTcpClientAsync();
            await accepted.GetStream().WriteAsync("SSH-2.0-OpenSSH_9.2\r\n"u8.ToArray());
        });
        Assert.Equal("answer_invalid", (await client.Post($"http://127.0.0.1:{((IPEndPoint)talker.LocalEndpoint).Port}/", "{}"u8.ToArray(), [], default)).Error);
        await talk;
    }

    private static async Task<(int? Status, string? Error)> Called(Receiver receiver, TimeSpan? limit = null)
    {
        using var client = Client(limit);
        var attempted = await client.Post(receiver.Url, "{}"u8.ToArray(), [], default);
        return (attempted.Status, attempted.Error);
    }

    private static EndpointClient Client(TimeSpan? limit = null, Func<string, IPAddress[]>? host = null) =>
        new(new EndpointGuard(Open, host is null ? Dns.GetHostAddressesAsync : (name, _) => Task.FromResult(host(name))), TimeProvider.System, limit);

    private static Settings Read(string loopback) => Settings.Read(Configured(loopback), "Development").Settings!;

    private static IConfiguration Configured(string loopback) =>
        new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?> { ["Consumers:AllowLoopback"] = loopback }).Build();
}
