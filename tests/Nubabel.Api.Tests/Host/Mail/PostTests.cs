using System.Collections.Concurrent;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Nubabel.Api.Host;
using Nubabel.Api.Host.Mail;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Rates;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Host.Mail;

public sealed class PostTests
{
    private static readonly Letter Letter = new("ada@example.com", "Topsecret subject", ["Topsecret content"]);
    private static readonly MailSettings Settings = new() { From = new Mailbox(null, "no-reply@nubabel.example"), LinkBase = "https://app.example.com" };

    private sealed class Carrier(params Exception[] failures) : ICarrier
    {
        private readonly ConcurrentQueue<Exception> fails = new(failures);
        public ConcurrentQueue<string> Carried { get; } = new();

        public Task Carry(Mime message, string subject, CancellationToken ct)
        {
            if (fails.TryDequeue(out var failure)) throw failure;
            Carried.Enqueue(message.Id);
            return Task.CompletedTask;
        }
    }

    /// <summary>Delivers by hand what a queue would: the same message, attempt after attempt.</summary>
    private static async Task<(Post Post, Func<Task> Deliver)> Given(ICarrier carrier, Letter letter, TestApi? own = null)
    {
        var api = own ?? await TestApi.Shared;
        var (acme, node) = (await api.SignUp(), api.Services.GetRequiredService<Node>());
        var post = new Post(node, Settings, carrier, NullLogger<Post>.Instance);
        var subject = $"user-{acme.User}";
        var mailing = new Mailing(await node.Seal(acme.Id, subject, JsonSerializer.Serialize(letter, StoredJson.Options), default));
        var delivery = new Delivery(Guid.CreateVersion7(), "mail", acme.Id, "~0", 1, "letter", default, null, subject, "system:test", null, null, new Dictionary<string, string>(), default, 1, 0);
        return (post, () => post.Deliver(mailing, new MessageContext(delivery, node.Journal(acme.Id, new Origin("system:test")), _ => ValueTask.CompletedTask, default)));
    }

    [Fact]
    public async Task A_letter_that_is_refused_for_now_is_tried_again_under_the_same_number()
    {
        var carrier = new Carrier(new NotCarried("The mail server answered 451."));
        var (post, deliver) = await Given(carrier, Letter);
        var again = await Assert.ThrowsAsync<NotCarried>(deliver);
        Assert.Equal("The mail server answered 451.", again.Message);
        Assert.Equal("The mail server answered 451.", post.Fault);
        await deliver();
        await deliver();
        Assert.Null(post.Fault);
        Assert.Single(carrier.Carried.Distinct());
    }

    [Fact]
    public async Task What_is_refused_for_good_is_not_tried_again()
    {
        var (_, refused) = await Given(new Carrier(new NotCarried("The mail server answered 550.", forGood: true)), Letter);
        Assert.Equal("The mail server answered 550.", (await Assert.ThrowsAsync<Hopeless>(refused)).Message);
        var (_, nowhere) = await Given(new Carrier(), Letter with { To = "no address" });
        await Assert.ThrowsAsync<Hopeless>(nowhere);
    }

    /// <summary>Anybody who may invite can name an address that does not exist; that relaying is refused is about this server.</summary>
    [Theory]
    [InlineData("550 no such user", true)]
    [InlineData("553 not a name here", true)]
    [InlineData("554 relay access denied", false)]
    [InlineData("530 sign in first", false)]
    public async Task A_recipient_whom_the_mail_server_does_not_know_is_no_fault_of_the_mail(string answer, bool isOfRecipient)
    {
        await using var server = new SmtpServer();
        var settings = Settings with { Host = "localhost", Port = server.Port, Security = MailSecurity.None };
        var (post, deliver) = await Given(new SmtpCarrier(settings), Letter);
        server.Answer("RCPT", answer);
        Assert.Equal($"The mail server answered {answer[..3]}.", (await Assert.ThrowsAsync<Hopeless>(deliver)).Message);
        Assert.Equal(isOfRecipient ? null : $"The mail server answered {answer[..3]}.", post.Fault);

        // What was wrong before is not mended by it either.
        server.Answer("MAIL", "451 later");
        await Assert.ThrowsAsync<NotCarried>(deliver);
        server.Answer("RCPT", "550 no such user");
        await Assert.ThrowsAsync<Hopeless>(deliver);
        Assert.Equal("The mail server answered 451.", post.Fault);
    }

    [Fact]
    public async Task A_fault_of_the_mail_lapses_where_no_other_letter_comes()
    {
        await using var database = await TestDatabase.New();
        var time = new StillTime();
        await using var api = await TestApi.Start(database, time: time);
        var (post, deliver) = await Given(new Carrier(new NotCarried("The mail server answered 451."), new NotCarried("The mail server answered 452.")), Letter, api);
        await Assert.ThrowsAsync<NotCarried>(deliver);
        time.Move(TimeSpan.FromMinutes(14));
        await Assert.ThrowsAsync<NotCarried>(deliver);
        time.Move(TimeSpan.FromMinutes(14));
        // The time of day is another matter.
        time.Set(TimeSpan.FromDays(1));
        Assert.Equal("The mail server answered 452.", post.Fault);
        time.Move(TimeSpan.FromMinutes(2));
        Assert.Null(post.Fault);
    }

    [Fact]
    public async Task A_letter_outlives_the_process_that_wrote_it_and_is_stored_sealed()
    {
        await using var database = await TestDatabase.New();
        var address = $"bob-{Guid.NewGuid():N}@example.com";
        await using (var first = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false"))
        {
            var acme = await first.SignUp();
            var invitation = await (await acme.Client.PostAsJsonAsync("/api/invitations", new { email = address, role = "member" })).Content.ReadFromJsonAsync<JsonElement>();
            var stored = await database.Scalar<string>("select string_agg(m::text, '') from nubabel.messages m");
            Assert.Contains("letter", stored, StringComparison.Ordinal);
            foreach (var secret in new[] { address, invitation.GetProperty("token").GetString()!, "invited" }) Assert.DoesNotContain(secret, stored, StringComparison.Ordinal);
            // Refused, so nothing is enqueued.
            Assert.Equal(409, (int)(await acme.Client.PostAsJsonAsync("/api/invitations", new { email = address, role = "member" })).StatusCode);
            Assert.Equal(1, await database.Scalar<long>("select count(*) from nubabel.messages"));
        }
        await using var second = await TestApi.Start(database);
        Assert.StartsWith("You are invited to", (await second.LetterTo(address)).Subject, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_letter_to_somebody_who_was_erased_meanwhile_is_not_delivered()
    {
        var carrier = new Carrier();
        var (_, deliver) = await Given(carrier, Letter);
        await deliver();
        Assert.Single(carrier.Carried);

        await using var database = await TestDatabase.New();
        var address = $"bob-{Guid.NewGuid():N}@example.com";
        await using (var first = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false"))
        {
            var acme = await first.SignUp();
            await acme.Client.PostAsJsonAsync("/api/invitations", new { email = address, role = "member" });
            await database.Run("update nubabel.subject_keys set wrapped = null, destroyed = now() where subject like 'invitation-%'");
        }
        await using var second = await TestApi.Start(database);
        await Burst.Until("the letter is done", TimeSpan.FromSeconds(20), async () => await database.Scalar<long>("select count(*) from nubabel.messages") == 0);
        Assert.Empty(second.LettersTo(address));
        Assert.Equal(0, await database.Scalar<long>("select count(*) from nubabel.dead_letters"));
    }

    [Fact]
    public async Task In_development_letters_are_private_files_and_their_names_tell_no_address()
    {
        var api = await TestApi.Shared;
        var acme = await api.SignUp();
        var address = $"ada-{Guid.NewGuid():N}@example.com";
        var journal = api.Services.GetRequiredService<Node>().Journal(acme.Id, new Origin("system:test"));
        await api.Services.GetRequiredService<Post>().Enclose(journal, $"user-{acme.User}", new Letter(address, "Set a new password!", ["Hello."]), default);
        await journal.Send(default);
        Assert.Equal("Set a new password!", (await api.LetterTo(address)).Subject);
        var file = Directory.GetFiles(api.Database.Mail).First(f => File.ReadAllText(f).Contains(address, StringComparison.Ordinal));
        Assert.Matches(@"^\d{8}-\d{6}\.\d{3}-set-a-new-password-[0-9a-f]{6}\.eml$", Path.GetFileName(file));
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
    }

    [Fact]
    public async Task Without_a_mail_server_health_says_so_and_requests_are_served()
    {
        await using var database = await TestDatabase.New();
        await using var api = await TestApi.Start(database, build: builder => builder.Services.AddSingleton<ICarrier>(new NoCarrier()));
        using var answer = await api.Client.GetAsync("/health");
        Assert.Equal(System.Net.HttpStatusCode.OK, answer.StatusCode);
        var mail = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("components").GetProperty("mail");
        Assert.Equal("degraded", mail.GetProperty("status").GetString());
        Assert.Equal("Mail is not configured: Mail__Host is not set.", mail.GetProperty("detail").GetString());
        await api.SignUp();
    }
}
