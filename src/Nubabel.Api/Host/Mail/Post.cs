using System.Diagnostics.Metrics;
using System.Text.Json;
using Nubabel.Domain;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Host.Mail;

/// <summary>A letter on its way, sealed under the key of whom it is for: it may hold an address, a name and a link that is a secret.</summary>
public sealed record Mailing(Personal Letter);

/// <summary>
/// The way out for mail. A letter is a durable message: it is enqueued in the commit of what it tells of, and delivered in the background, again where the
/// mail server does not take it. Addresses and contents are never logged, and never stored in the clear.
/// </summary>
public sealed partial class Post(Node node, MailSettings settings, ICarrier carrier, ILogger<Post> log)
{
    private static readonly Meter Meter = new("Nubabel.Mail");
    private static readonly Counter<long> Letters = Meter.CreateCounter<long>("nubabel.mail.letters", "{letter}", "Letters by outcome: delivered, again, failed, refused.");

    /// <summary>How long a failure tells something where no other letter has come since.</summary>
    private static readonly TimeSpan FaultTells = TimeSpan.FromMinutes(15);

    private volatile Failure? failure;

    public bool IsConfigured => carrier is not NoCarrier;

    /// <summary>Why the last letter was not taken; null after one that was, and where that is long ago. A recipient whom the mail server refuses is none: whoever may invite can name one.</summary>
    public string? Fault => failure is { } last && node.Time.GetElapsedTime(last.At) < FaultTells ? last.Why : null;

    /// <summary>Enqueues a letter with the journal's next commit.</summary>
    /// <param name="subject">Whose key seals it: when it is destroyed, the letter is not delivered any more.</param>
    public async Task Enclose(Journal journal, string subject, Letter letter, CancellationToken ct)
    {
        if (!IsConfigured)
        {
            Count("refused");
            Unconfigured(log);
            return;
        }
        var text = JsonSerializer.Serialize(letter, StoredJson.Options);
        journal.Enqueue(new Message(new Mailing(await node.Seal(journal.Tenant, subject, text, ct))) { Subject = subject });
    }

    /// <summary>Handles a letter's message.</summary>
    public async Task Deliver(Mailing mailing, MessageContext context)
    {
        if (await node.Open(context.Tenant, mailing.Letter, context.Cancellation) is not { } text) return;
        await Carry(StoredJson.Read<Letter>(System.Text.Encoding.UTF8.GetBytes(text)), context.Delivery.Id, context.Cancellation);
    }

    /// <summary>Gives a letter to the mail server, for handlers of messages that know themselves what it says.</summary>
    /// <param name="id">The same on every attempt, so that a receiver can tell a repetition.</param>
    /// <exception cref="Hopeless">It will never be taken.</exception>
    /// <exception cref="NotCarried">Another attempt may end otherwise.</exception>
    public async Task Carry(Letter letter, Guid id, CancellationToken ct)
    {
        try
        {
            await carrier.Carry(Mime.Of(letter, settings.From, id.ToString("N"), node.Time.GetUtcNow()), letter.Subject, ct);
            failure = null;
            Count("delivered");
        }
        catch (FormatException)
        {
            Count("failed");
            throw new Hopeless("The address cannot be written to.");
        }
        catch (NotCarried e) when (e.ForGood)
        {
            if (!e.IsOfRecipient) failure = new Failure(e.Message, node.Time.GetTimestamp());
            Count("failed");
            throw new Hopeless(e.Message, e);
        }
        catch (NotCarried e)
        {
            failure = new Failure(e.Message, node.Time.GetTimestamp());
            Count("again");
            throw;
        }
    }

    private sealed record Failure(string Why, long At);

    private static void Count(string outcome) => Letters.Add(1, new KeyValuePair<string, object?>("outcome", outcome));

    [LoggerMessage(1, LogLevel.Warning, "Mail__Host is not set: no mail is sent")]
    private static partial void Unconfigured(ILogger log);
}
