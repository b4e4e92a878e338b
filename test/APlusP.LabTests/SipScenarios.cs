namespace APlusP.LabTests;

/// <summary>What sipp says as a phone: it registers, calls, or answers. It names itself as every phone does, by its own address.</summary>
static class SipScenarios
{
    public const string Register = """
        <?xml version="1.0" encoding="us-ascii"?>
        <scenario name="registers">
        <send retrans="500"><![CDATA[

        REGISTER sip:[remote_ip] SIP/2.0
        Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
        From: <sip:[service]@[remote_ip]>;tag=[pid]r[call_number]
        To: <sip:[service]@[remote_ip]>
        Call-ID: [call_id]
        CSeq: 1 REGISTER
        Contact: <sip:[service]@[local_ip]:[local_port];transport=[transport]>
        Expires: 600
        Max-Forwards: 70
        Content-Length: 0

        ]]></send>
        <recv response="200"/>
        </scenario>
        """;

    public const string Call = """
        <?xml version="1.0" encoding="us-ascii"?>
        <scenario name="calls">
        <send retrans="500"><![CDATA[

        INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
        Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
        From: <sip:caller@[remote_ip]>;tag=[pid]c[call_number]
        To: <sip:[service]@[remote_ip]>
        Call-ID: [call_id]
        CSeq: 1 INVITE
        Contact: <sip:caller@[local_ip]:[local_port];transport=[transport]>
        Max-Forwards: 70
        Content-Type: application/sdp
        Content-Length: [len]

        v=0
        o=- 1 1 IN IP4 [local_ip]
        s=-
        c=IN IP4 [media_ip]
        t=0 0
        m=audio [media_port] RTP/AVP 0

        ]]></send>
        <recv response="100" optional="true"/>
        <recv response="180" optional="true"/>
        <recv response="200" rrs="true"/>
        <send><![CDATA[

        ACK [next_url] SIP/2.0
        Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
        From: <sip:caller@[remote_ip]>;tag=[pid]c[call_number]
        To: <sip:[service]@[remote_ip]>[peer_tag_param]
        [routes]
        Call-ID: [call_id]
        CSeq: 1 ACK
        Max-Forwards: 70
        Content-Length: 0

        ]]></send>
        <pause/>
        <send retrans="500"><![CDATA[

        BYE [next_url] SIP/2.0
        Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
        From: <sip:caller@[remote_ip]>;tag=[pid]c[call_number]
        To: <sip:[service]@[remote_ip]>[peer_tag_param]
        [routes]
        Call-ID: [call_id]
        CSeq: 2 BYE
        Max-Forwards: 70
        Content-Length: 0

        ]]></send>
        <recv response="200"/>
        </scenario>
        """;

    public const string Answer = """
        <?xml version="1.0" encoding="us-ascii"?>
        <scenario name="answers">
        <recv request="INVITE"/>
        <send><![CDATA[

        SIP/2.0 180 Ringing
        [last_Via:]
        [last_Record-Route:]
        [last_From:]
        [last_To:];tag=[pid]a[call_number]
        [last_Call-ID:]
        [last_CSeq:]
        Contact: <sip:called@[local_ip]:[local_port];transport=[transport]>
        Content-Length: 0

        ]]></send>
        <send retrans="500"><![CDATA[

        SIP/2.0 200 OK
        [last_Via:]
        [last_Record-Route:]
        [last_From:]
        [last_To:];tag=[pid]a[call_number]
        [last_Call-ID:]
        [last_CSeq:]
        Contact: <sip:called@[local_ip]:[local_port];transport=[transport]>
        Content-Type: application/sdp
        Content-Length: [len]

        v=0
        o=- 1 1 IN IP4 [local_ip]
        s=-
        c=IN IP4 [media_ip]
        t=0 0
        m=audio [media_port] RTP/AVP 0

        ]]></send>
        <recv request="ACK"/>
        <recv request="BYE"/>
        <send><![CDATA[

        SIP/2.0 200 OK
        [last_Via:]
        [last_From:]
        [last_To:]
        [last_Call-ID:]
        [last_CSeq:]
        Content-Length: 0

        ]]></send>
        </scenario>
        """;
}
